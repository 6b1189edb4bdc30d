import { randomBytes } from 'node:crypto'
import { link, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a file that only its owner may read, unless there is one (false). It is written beside and linked into place: whoever
 * reads it finds the whole text, also after a power cut. @throws the system's error
 */
export async function makeFile(path: string, text: string): Promise<boolean> {
  const beside = `${path}.${randomBytes(8).toString('hex')}`
  const file = await open(beside, 'wx', 0o600)
  let isMade = true
  try {
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await link(beside, path)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      isMade = false
    }
  } finally {
    await unlink(beside)
  }
  const folder = await open(dirname(path))
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
  return isMade
}
