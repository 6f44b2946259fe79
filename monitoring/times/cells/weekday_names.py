"""Names of the days of the week, which may stand before a date."""

_NAMES = """
monday tuesday wednesday weds thursday friday saturday sunday
montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
lundi mardi mercredi jeudi vendredi samedi dimanche
lunes martes miércoles miercoles jueves viernes sábado sabado domingo
lunedì lunedi martedì martedi mercoledì mercoledi giovedì giovedi venerdì venerdi domenica
segunda terça terca quarta quinta sexta
maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
mandag måndag tirsdag tysdag tisdag onsdag torsdag fredag lørdag lördag laurdag søndag söndag
maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai
poniedziałek pn wtorek środa sroda czwartek czw piątek piatek pt sobota niedziela nd
pondělí pondeli úterý utery středa streda čtvrtek ctvrtek pátek patek neděle nedele
pondelok utorok streda štvrtok piatok nedeľa
hétfő kedd szerda csütörtök péntek szombat vasárnap
luni marți marti miercuri joi vineri sâmbătă sambata duminică duminica
dilluns dimarts dimecres dijous divendres dissabte diumenge dl dt dc dj dv ds dg
pazartesi pzt salı sali çarşamba carsamba perşembe persembe cuma cumartesi cmt pazar
δευτέρα δευτερα τρίτη τριτη τετάρτη τεταρτη πέμπτη πεμπτη παρασκευή παρασκευη σάββατο σαββατο κυριακή κυριακη
понедельник пн вторник вт среда ср четверг чт пятница пт суббота сб воскресенье вс
понеділок вівторок середа четвер п'ятниця субота неділя нд
понеделник вторник сряда четвъртък петък събота неделя
ponedeljek ponedjeljak torek utorak sreda srijeda četrtek četvrtak petek petak subota nedelja nedjelja
pirmadienis antradienis trečiadienis ketvirtadienis penktadienis šeštadienis sekmadienis
pirmdiena otrdiena trešdiena ceturtdiena piektdiena sestdiena svētdiena
esmaspäev teisipäev kolmapäev neljapäev reede laupäev pühapäev
senin selasa rabu kamis jumat sabtu minggu
الأحد الاحد الإثنين الاثنين الثلاثاء الأربعاء الاربعاء الخميس الجمعة السبت
星期一 星期二 星期三 星期四 星期五 星期六 星期日 星期天
周一 周二 周三 周四 周五 周六 周日 週一 週二 週三 週四 週五 週六 週日
月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日 월요일 화요일 수요일 목요일 금요일 토요일 일요일
"""


def is_weekday(word: str) -> bool:
    """Whether a word in small letters is the name of a day, or begins as one.

    Example:
        >>> [is_weekday(word) for word in ("tue", "donnerstag", "subtotal", "mean")]
        [True, True, False, False]
    """
    return word in _BEGINNINGS


_BEGINNINGS = {name[:length] for name in _NAMES.split() for length in range(2, len(name) + 1)}
