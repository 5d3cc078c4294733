// Elements of the page, numbers as text, and the keys to the colours of a layer.
const $ = id => document.getElementById(id);

function make(tag, text, parent, cls) {
  const e = document.createElement(tag);
  e.textContent = text ?? "";
  if (cls) e.className = cls;
  parent?.append(e);
  return e;
}

// A number with three significant digits, or with separators from 1,000 on.
function short(v) {
  if (v === null || v === undefined) return "–";
  return Math.abs(v) >= 999.5 ? Math.round(v).toLocaleString("en") : String(Number(v.toPrecision(3)));
}

function save(name, address) {
  const a = make("a");
  a.href = address;
  a.download = name;
  a.click();
}

// The choice of a layer: domains, quality, genes.
function fillLayers(select, groups) {
  for (const [label, layers] of Object.entries(groups)) {
    if (!layers.length) continue;
    const group = make("optgroup", "", select);
    group.label = label;
    for (const l of layers) make("option", l.title + (l.why ? ` (${l.why})` : ""), group).value = l.key;
  }
}

function addRamp(layer, ramp, parent) {
  make("div", "", parent, "ramp").style.background = `linear-gradient(90deg,${ramp})`;
  const ends = make("div", "", parent, "ends");
  for (const text of [short(layer.low), layer.unit ?? "", short(layer.high)]) make("span", text, ends);
}

function addNames(layer, parent) {
  const box = make("div", "", parent, "legend");
  for (const [k, name] of layer.names.entries()) {
    const e = make("span", "", box, "key");
    make("i", "", e).style.background = layer.colours[k];
    e.append(name);
  }
}

// The key to a layer's colours: names of domains, or a ramp of numbers.
function addKey(layer, ramp, parent) {
  if (layer.names) addNames(layer, parent);
  else addRamp(layer, ramp, parent);
}
