// Puts the page together: reads what it holds, then draws the maps and fills the tables.
async function readPicture(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  return picture;
}

async function readSection(report) {
  const { maps } = report, plane = await readPlane(maps, report.missing), layers = await readLayers(maps, report.ramp);
  const list = entries => entries.map(l => layers.get(l.key));
  return {
    report, maps, plane, layers, spotAt: spotFinder(plane),
    barcodes: await unpack(maps.barcodes),
    bins: await readBins(maps.bins),
    picture: report.image ? await readPicture(report.image) : null,
    groups: { Domains: list(maps.divisions), Quality: list(maps.values), Genes: list(maps.genes) },
  };
}

async function start(report) {
  const section = await readSection(report), map = largeMap(section), showLayer = key => map.show(key);
  const drawSmallMaps = smallMaps(section, showLayer);
  const drawLayout = report.maps.umap ? await layout(section) : () => {};
  geneTables(section, showLayer);
  function drawAll() {
    map.showWhole();
    drawSmallMaps();
    drawLayout();
  }
  addEventListener("resize", drawAll);
  addEventListener("keydown", e => e.key === "Escape" && hideTip());
  drawAll();
  document.body.dataset.ready = "yes";
}

start(JSON.parse($("report").textContent)).catch(error => {
  $("problem").hidden = false;
  console.error(error);
});
