// What the page says of the spot under the pointer.
function aboutSpot({ barcodes, groups, layers }, i, shown) {
  const counts = layers.get("total_counts"), confidence = layers.get("efnst_confidence");
  const lines = [barcodes[i]];
  for (const d of groups.Domains) lines.push(`${d.title}: ${d.text(i)}`);
  if (confidence) lines.splice(2, 0, `Confidence: ${confidence.text(i)}`);
  if (counts) lines.push(`${counts.title}: ${counts.text(i)}`);
  if (!shown.names && shown !== counts && shown !== confidence) lines.push(`${shown.title}: ${shown.text(i)}`);
  return lines.join("\n");
}

function showTip(text, x, y) {
  const tip = $("tip");
  tip.textContent = text;
  tip.style.display = "block";
  tip.style.left = `${Math.max(0, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 14, innerHeight - tip.offsetHeight - 8))}px`;
}

function hideTip() {
  $("tip").style.display = "none";
}

// find: from px of the canvas to a spot, -1 for none; layer: the layer that the canvas shows.
function hover(section, canvas, find, layer) {
  canvas.addEventListener("pointermove", e => {
    const box = canvas.getBoundingClientRect(), i = find(e.clientX - box.left, e.clientY - box.top);
    if (i < 0) hideTip();
    else showTip(aboutSpot(section, i, layer()), e.clientX, e.clientY);
  });
  canvas.addEventListener("pointerleave", hideTip);
}

// The same for a map that is drawn with `fit()`.
function hoverMap(section, canvas, fit, layer) {
  const find = (x, y) => {
    const [s, dx, dy] = fit();
    return section.spotAt((x - dx) / s, (y - dy) / s);
  };
  hover(section, canvas, find, layer);
}
