import { createRequire } from 'node:module'
import type jsQR from 'jsqr'

/** It says ES modules and is none. */
const read = createRequire(import.meta.url)('jsqr') as typeof jsQR.default
const PIXELS = 5

/** What a camera reads from a picture of dark squares `Mx yh1v1h-1z`, drawn pixel by pixel; undefined when it is no QR code. */
export function textOfQr(svg: string): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)?.[1])
  const path = /<path d="([^"]*)" fill="#000"\/>/.exec(svg)?.[1] ?? ''
  const width = size * PIXELS
  const image = new Uint8ClampedArray(width * width * 4).fill(255)
  const squares = [...path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)]
  if (squares.map(([square]) => square).join('') !== path) throw new Error('something else is drawn')
  for (const [, x, y] of squares)
    for (let dy = 0; dy < PIXELS; dy++)
      for (let dx = 0; dx < PIXELS; dx++) {
        const at = ((Number(y) * PIXELS + dy) * width + Number(x) * PIXELS + dx) * 4
        image.fill(0, at, at + 3)
      }
  return read(image, width, width)?.data
}
