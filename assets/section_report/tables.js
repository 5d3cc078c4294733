// Tables of genes: search, sort, download.
const LIMIT = 300; // rows shown

function cellText(value, column) {
  if (typeof value !== "number") return value;
  return column.startsWith("p_") ? (value === 0 ? "<1e-300" : value.toExponential(1)) : short(value);
}

// Fills `table`; returns a function that gives the rows which are found, in the order shown.
function geneTable(table, data, search, select, note, showGene) {
  let order = -1, rising = false;
  const head = make("tr", "", make("thead", "", table)), body = make("tbody", "", table);
  const gene = data.columns.indexOf("gene");
  data.columns.forEach((name, k) => {
    const th = make("th", "", head, k > gene ? "num" : "");
    th.scope = "col";
    make("button", name.replaceAll("_", " "), th).onclick = () => {
      rising = order === k ? !rising : k <= gene;
      order = k;
      fill();
    };
  });
  const compare = (a, b) => typeof a[order] === "number" ? a[order] - b[order]
    : String(a[order]).localeCompare(String(b[order]), "en", { numeric: true });
  function rows() {
    const text = search.value.trim().toLowerCase();
    const found = data.rows.filter(r =>
      (!text || r[gene].toLowerCase().includes(text)) && (!select?.value || r[0] === select.value));
    return order < 0 ? found : [...found].sort((a, b) => compare(a, b) * (rising ? 1 : -1));
  }
  function fill() {
    const found = rows();
    [...head.children].forEach((th, k) =>
      th.setAttribute("aria-sort", k === order ? (rising ? "ascending" : "descending") : "none"));
    body.replaceChildren(...found.slice(0, LIMIT).map(r => {
      const tr = make("tr");
      r.forEach((v, k) => {
        const td = make("td", "", tr, k > gene ? "num" : "");
        const show = k === gene && showGene(v);
        if (show) make("button", v, td, "gene").onclick = show;
        else td.textContent = cellText(v, data.columns[k]);
      });
      return tr;
    }));
    note.textContent = found.length > LIMIT
      ? `The first ${LIMIT} of ${found.length} are shown; the download has all of them.` : `${found.length} rows.`;
  }
  search.oninput = fill;
  if (select) select.onchange = fill;
  fill();
  return rows;
}

function download(name, columns, rows) {
  const cell = v => /[",\n]/.test(v) ? '"' + String(v).replaceAll('"', '""') + '"' : v;
  const text = [columns, ...rows].map(r => r.map(cell).join(",")).join("\n") + "\n";
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  a.download = name;
  a.click();
  URL.revokeObjectURL(a.href);
}
