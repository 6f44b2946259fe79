"""Names of the months, in the languages that files are written in."""

import unicodedata

_SHORTENED = (
    "january february march april may june july august september october november december",
    "januar februar marz april mai juni juli august september oktober november dezember",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "januar februar marts april maj juni juli august september oktober november desember",
    "janner feber maerz april mai juni juli august setiembre oktober november dezember",
    "styczen luty marzec kwiecien maj czerwiec lipiec sierpien wrzesien pazdziernik listopad grudzien",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia wrzesnia pazdziernika listopada grudnia",
    "leden unor brezen duben kveten cerven cervenec srpen zari rijen listopad prosinec",
    "ledna unora brezna dubna kvetna cervna cervence srpna zari rijna listopadu prosince",
    "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "ocak subat mart nisan mayıs haziran temmuz agustos eylul ekim kasım aralık",
    "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "มกราคม กุมภาพันธ์ มีนาคม เมษายน พฤษภาคม มิถุนายน กรกฎาคม สิงหาคม กันยายน ตุลาคม พฤศจิกายน ธันวาคม",
)
_IN_FULL = (
    "januar februar marcius aprilis majus junius julius augusztus szeptember oktober november december",
    "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesakuu heinakuu elokuu syyskuu lokakuu marraskuu joulukuu",
    "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesakuuta heinakuuta elokuuta syyskuuta lokakuuta "
    "marraskuuta joulukuuta",
    "gener febrer marc abril maig juny juliol agost setembre octubre novembre desembre",
    "januari februari maret april mei juni juli agustus september oktober november desember",
    "januar februar marec april maj jun jul august september oktober november december",
    "ιανουαριος φεβρουαριος μαρτιος απριλιος μαιος ιουνιος ιουλιος αυγουστος σεπτεμβριος οκτωβριος νοεμβριος "
    "δεκεμβριος",
    "ιανουαριου φεβρουαριου μαρτιου απριλιου μαιου ιουνιου ιουλιου αυγουστου σεπτεμβριου οκτωβριου νοεμβριου "
    "δεκεμβριου",
    "січень лютий березень квітень травень червень липень серпень вересень жовтень листопад грудень",
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "януари февруари март април май юни юли август септември октомври ноември декември",
    "يناير فبراير مارس ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر نوفمبر ديسمبر",
)
"""Of languages whose short names are other months' elsewhere, or are not written."""
_INITIALS = "ม.ค ก.พ มี.ค เม.ย พ.ค มิ.ย ก.ค ส.ค ก.ย ต.ค พ.ย ธ.ค"  # of Thai months
_SHORTEST = 3
_SHORT = {"mrt": 3, "mrz": 3, "fvr": 2, "jly": 7}


def month_number(name: str) -> int:
    """From 1 to 12; 0 for what is not the name of a month.

    Args:
        name: in any case, whole or from its start at least three letters, with or without a point.

    Example:
        >>> [month_number(name) for name in ("Jan", "févr.", "MÄRZ", "Octubre", "Q1")]
        [1, 2, 3, 10, 0]
    """
    return _MONTHS.get(_plain(name), 0)


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold()).rstrip(".")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _prefixes() -> dict[str, int]:
    """By every start of a name that only one month has."""
    found: dict[str, set[int]] = {}
    for year in _SHORTENED:
        for number, name in enumerate(map(_plain, year.split()), 1):
            for length in range(_SHORTEST, len(name) + 1):
                found.setdefault(name[:length], set()).add(number)
    initials = {_plain(name): number for number, name in enumerate(_INITIALS.split(), 1)}
    whole = {_plain(name): number for one in (*_IN_FULL, *_SHORTENED) for number, name in enumerate(one.split(), 1)}
    return whole | _SHORT | initials | {start: min(numbers) for start, numbers in found.items() if len(numbers) == 1}


_MONTHS = _prefixes()
