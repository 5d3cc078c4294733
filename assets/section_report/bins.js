// The domains of single bins or cells: an image with a pixel for each, laid over the map as the bins lie.
async function readBins(bins) {
  return bins ? { ...bins, codes: await unpack(bins.codes) } : null;
}

// The barcode of the unit that holds the bin of this barcode, of any width, where bins tell it; else the same barcode.
function unitOf(barcode, bins) {
  const at = bins?.unitUm && barcode.match(/(?<![a-z0-9])s_(\d{3})um_(\d{5})_(\d{5})(?!\d)/i);
  if (!at) return barcode;
  const [row, column] = at.slice(2).map(n => String(Math.floor(n * at[1] / bins.unitUm)).padStart(5, "0"));
  return `unit_${String(bins.unitUm).padStart(3, "0")}um_${row}_${column}`;
}

// The image in the domains' colours; kept until hidden domains change.
function imageOfBins(bins, layer, hidden) {
  const state = [...hidden].join();
  if (bins.drawn?.state === state) return bins.drawn.canvas;
  const { width, height, codes } = bins, canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const ctx = canvas.getContext("2d"), image = ctx.createImageData(width, height);
  const colours = layer.colours.map(channels);
  for (let p = 0; p < codes.length; p++) {
    const rgb = colours[codes[p]];
    if (!rgb || hidden.has(codes[p])) continue;
    image.data.set([...rgb, 255], 4 * p);
  }
  ctx.putImageData(image, 0, 0);
  bins.drawn = { state, canvas };
  return canvas;
}

function paintBins(bins, ctx, layer, fit, opacity, hidden) {
  const [s, dx, dy] = fit, [a, b, c, d, e, f] = bins.affine;
  ctx.save();
  ctx.globalAlpha = opacity;
  ctx.imageSmoothingEnabled = s * Math.hypot(a, b) < 1; // enlarged bins keep their edges
  ctx.transform(a * s, b * s, c * s, d * s, e * s + dx, f * s + dy);
  ctx.drawImage(imageOfBins(bins, layer, hidden), 0, 0);
  ctx.restore();
}
