/** All of it when it is no more than so many bytes; else undefined, and the rest is not read. */
export async function bounded(chunks: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer | undefined> {
  const read: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > maxBytes) return undefined
    read.push(chunk)
  }
  return Buffer.concat(read)
}
