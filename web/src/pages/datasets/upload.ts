/** Files on their way to the server, piece by piece. */

import { api, take } from "../../api/client";

/** Bytes of one piece: few enough that servers in between let it through, and that a bar moves. */
const PIECE_BYTES = 8 << 20;

/** A file that the server has, as an import names it. */
export interface Uploaded {
  upload: string;
  path: string;
  bytes: number;
}

/** The typed client takes a body of bytes for text; it is sent as it is. */
const asItIs = { bodySerializer: (body: unknown) => body as Blob, headers: { "content-type": "application/octet-stream" } };

/** Sends a file; `told` hears how many bytes of it have arrived. */
export async function upload(file: File, told: (bytes: number) => void, signal: AbortSignal): Promise<Uploaded> {
  const piece = (from: number) => file.slice(from, from + PIECE_BYTES) as unknown as string;
  let known = await take(api.POST("/api/v1/uploads", { body: piece(0), ...asItIs, signal }));
  told(known.bytes);
  while (known.bytes < file.size) {
    const params = { path: { id: known.id }, query: { offset: known.bytes } };
    known = await take(api.PUT("/api/v1/uploads/{id}", { params, body: piece(known.bytes), ...asItIs, signal }));
    told(known.bytes);
  }
  return { upload: known.id, path: file.webkitRelativePath || file.name, bytes: file.size };
}

/** Forgets files that nothing is made of; the server would do so after a day. */
export function discard(uploads: readonly Uploaded[]): void {
  for (const { upload } of uploads) void api.DELETE("/api/v1/uploads/{id}", { params: { path: { id: upload } } }).catch(() => undefined);
}
