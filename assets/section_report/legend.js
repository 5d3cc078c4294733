// The legend of the large map: each domain is a button that hides or shows it.
// How many spots, or bins where these are drawn, have each code.
function countSpots(layer, bins) {
  if (bins) return new Map([...bins.counts.entries()].filter(([, n]) => n));
  const count = new Map();
  for (const code of layer.codes) count.set(code, (count.get(code) ?? 0) + 1);
  return count;
}

function legendButton(layer, code, n, what, missing, box) {
  const button = make("button", "", box), name = code === NONE ? "no label" : layer.names[code];
  button.type = "button";
  make("i", "", button).style.background = colourOf(layer, code, missing);
  make("span", name, button);
  make("em", n.toLocaleString("en"), button);
  button.setAttribute("aria-pressed", true);
  button.setAttribute("aria-label", `${layer.title} ${name}, ${n} ${what}`);
  return button;
}

function drawLegend(map) {
  const { layer, hidden } = map, { ramp, missing } = map.section.report, box = $("biglegend");
  box.replaceChildren();
  if (!layer.names) {
    addRamp(layer, ramp, box);
    return;
  }
  make("p", "Click: hide or show. Double click: this one alone.", box, "note");
  const bins = map.shownBins, what = bins?.what ?? "spots", count = countSpots(layer, bins), buttons = new Map();
  const hide = (code, yes) => yes ? hidden.add(code) : hidden.delete(code);
  function mark() {
    for (const [code, button] of buttons) button.setAttribute("aria-pressed", !hidden.has(code));
    map.draw();
  }
  for (const code of [...layer.names.keys(), NONE].filter(c => count.has(c))) {
    const button = legendButton(layer, code, count.get(code), what, missing, box);
    buttons.set(code, button);
    button.onclick = () => {
      hide(code, !hidden.has(code));
      mark();
    };
    button.ondblclick = () => {
      for (const other of count.keys()) hide(other, other !== code);
      mark();
    };
  }
}
