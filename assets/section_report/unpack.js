// Arrays as bin/efnst/reports/packing.py packs them.
const KINDS = { u1: Uint8Array, u2: Uint16Array, i4: Int32Array };
const NONE = 65535;

async function unpack(packed) {
  const raw = Uint8Array.from(atob(packed.data), c => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  return packed.kind === "text" ? new TextDecoder().decode(bytes).split("\n") : new KINDS[packed.kind](bytes);
}

// A function from the position to the number there, null where there is none.
async function unpackNumbers(packed) {
  const levels = await unpack(packed), none = packed.kind === "u2" ? NONE : -1;
  return i => levels[i] === none ? null : packed.least + levels[i] * packed.step;
}

async function unpackIndices(packed) {
  const indices = await unpack(packed);
  for (let i = 1; i < indices.length; i++) indices[i] += indices[i - 1];
  return indices;
}
