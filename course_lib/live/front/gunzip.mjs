// Fetch a file, with progress, and decompress it.

/** The bytes at `url`, decompressed if they are still gzip (some servers decompress .gz files on the way). */
export async function fetchGunzipped(url, onProgress = () => {}) {
  const bytes = await fetchBytes(url, onProgress);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The bytes at `url`; `onProgress` gets the fraction that has arrived. */
export async function fetchBytes(url, onProgress = () => {}) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get("content-length"));
  const parts = [];
  let arrived = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    arrived += value.length;
    if (total > 0) onProgress(Math.min(1, arrived / total));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Cut float32 values that were joined, in the order of `entries` of {name, shape}, into arrays by name. */
export function splitArrays(bytes, entries) {
  const arrays = {};
  let offset = 0;
  for (const { name, shape } of entries) {
    const count = shape.reduce((product, length) => product * length, 1);
    arrays[name] = new Float32Array(bytes.buffer, bytes.byteOffset + offset, count);
    offset += 4 * count;
  }
  return arrays;
}
