// Runs the page's script, with as much of a document as it touches: node page.mjs PAGE ORIGIN [REQUEST...]
// Prints, as JSON, what the page shows at first, and after each request is written on from.
import fs from "node:fs";

const [page, origin, ...requests] = process.argv.slice(2), html = fs.readFileSync(page, "utf8"), elements = {};
const made = () => ({
  value: "", textContent: "", hidden: false, children: [], classList: {toggle() {}, remove() {}, add() {}},
  replaceChildren(...children) { this.children = children; this.value = children[0]?.value ?? this.value; },
  append(...children) { this.children.push(...children); },
});
const at = id => elements[id] ??= made();
globalThis.document = {getElementById: at, createElement: made};
globalThis.Option = class { constructor(text, value) { Object.assign(this, {text, value}); } };
globalThis.location = {origin};
const ask = fetch;
globalThis.fetch = (url, options) => ask(new URL(url, origin), options);
at("form").value = "row";
new Function(html.slice(html.indexOf("<script>") + 8, html.indexOf("</script>")))();
while (!at("body").value && !at("problem").textContent) await new Promise(done => setTimeout(done, 10));
const shown = [{
  request: at("body").value, problem: at("problem").textContent, writes: !at("go").hidden,
  tensors: at("tensors").children.map(row => row.children.map(cell => cell.textContent).join(" ")),
}];
for (const request of requests) {
  at("body").value = request;
  await at("go").onclick();
  shown.push({answer: at("answer").textContent, problem: at("problem").textContent});
}
console.log(JSON.stringify(shown));
