// Tables of genes: search, sort, download.
const LIMIT = 300; // rows shown

function geneButton(name, parent, show) {
  const button = make("button", name, parent, "gene");
  button.type = "button";
  button.onclick = show;
}

function cellText(value, column) {
  if (typeof value !== "number") return value;
  if (!column.startsWith("p_")) return short(value);
  return value === 0 ? "<1e-300" : value.toExponential(1);
}

function compare(a, b) {
  if (typeof a === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// A table of genes. data: `columns` and `rows`; show: from a gene to what its button does, false for no button.
class GeneTable {
  constructor(table, data, { search, select, note, show }) {
    Object.assign(this, { data, search, select, note, show, order: -1, rising: false });
    this.gene = data.columns.indexOf("gene");
    this.head = make("tr", "", make("thead", "", table));
    this.body = make("tbody", "", table);
    for (const [k, name] of data.columns.entries()) this.addHead(name, k);
    search.oninput = () => this.fill();
    if (select) select.onchange = () => this.fill();
    this.fill();
  }

  addHead(name, k) {
    const th = make("th", "", this.head, this.classOf(k)), button = make("button", name.replaceAll("_", " "), th);
    th.scope = "col";
    button.type = "button";
    button.onclick = () => {
      this.rising = this.order === k ? !this.rising : k <= this.gene;
      this.order = k;
      this.fill();
    };
  }

  // Columns after the gene hold numbers.
  classOf(k) {
    return k > this.gene ? "num" : "";
  }

  // The rows that are found, in the order shown.
  rows() {
    const { data, gene, order, rising, select } = this, text = this.search.value.trim().toLowerCase();
    const isFound = row => (!text || row[gene].toLowerCase().includes(text))
      && (!select?.value || row[0] === select.value);
    const found = data.rows.filter(isFound), sign = rising ? 1 : -1;
    return order < 0 ? found : [...found].sort((a, b) => compare(a[order], b[order]) * sign);
  }

  rowElement(row) {
    const tr = make("tr");
    for (const [k, value] of row.entries()) {
      const td = make("td", "", tr, this.classOf(k)), show = k === this.gene && this.show(value);
      if (show) geneButton(value, td, show);
      else td.textContent = cellText(value, this.data.columns[k]);
    }
    return tr;
  }

  fill() {
    const found = this.rows(), direction = this.rising ? "ascending" : "descending";
    for (const [k, th] of [...this.head.children].entries()) {
      th.setAttribute("aria-sort", k === this.order ? direction : "none");
    }
    this.body.replaceChildren(...found.slice(0, LIMIT).map(row => this.rowElement(row)));
    this.note.textContent = found.length > LIMIT
      ? `The first ${LIMIT} of ${found.length} are shown; the download has all of them.` : `${found.length} rows.`;
  }
}

// A cell of a CSV file. Text that a spreadsheet would compute stays text, as in bin/efnst/program/spreadsheets.py.
function csvCell(value) {
  const text = typeof value === "string" && /^'*[=+\-@\t\r\n]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveCsv(name, columns, rows) {
  const lines = [columns, ...rows].map(row => `${row.map(csvCell).join(",")}\n`);
  const address = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
  save(name, address);
  URL.revokeObjectURL(address);
}

// The markers of the domains and the spatially variable genes. showLayer: brings a layer to the large map.
function geneTables({ report, layers, groups }, showLayer) {
  make("option", "all domains", $("markerdomain")).value = "";
  for (const name of groups.Domains[0].names) make("option", `domain ${name}`, $("markerdomain")).value = name;
  const show = name => layers.has(`gene ${name}`) && (() => showLayer(`gene ${name}`));
  const markers = new GeneTable($("markers"), report.markers, {
    search: $("markersearch"), select: $("markerdomain"), note: $("markernote"), show,
  });
  const spatial = new GeneTable($("spatial"), report.spatialGenes, {
    search: $("spatialsearch"), note: $("spatialnote"), show,
  });
  const saveRows = (table, kind) => saveCsv(`${report.sample}_${kind}.csv`, table.data.columns, table.rows());
  $("markercsv").onclick = () => saveRows(markers, "markers");
  $("spatialcsv").onclick = () => saveRows(spatial, "spatial_genes");
}
