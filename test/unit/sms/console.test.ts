import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SmsError } from '../../../src/account/sms-provider.ts'
import { ConsoleSms } from '../../../src/sms/console.ts'

const MESSAGE = {
  to: '+491701234567',
  code: '012345',
  text: '012345 is your code.',
  expiresInSeconds: 600,
  reference: 'r1',
}

test('prints the code, and no more of the number than its last two digits', async () => {
  const lines: string[] = []
  const sms = new ConsoleSms({ environment: 'development', print: (line) => lines.push(line) })
  await sms.send(MESSAGE, new AbortController().signal)
  assert.deepEqual(lines, ['SMS to the number ending in 67: the code is 012345'])
})

test('is refused in production', () => {
  assert.throws(() => new ConsoleSms({ environment: 'production' }), /cannot be used in production/)
})

test('prints nothing for a message that was given up', async () => {
  const lines: string[] = []
  const sms = new ConsoleSms({ environment: 'development', print: (line) => lines.push(line) })
  await assert.rejects(sms.send(MESSAGE, AbortSignal.abort()), SmsError)
  assert.deepEqual(lines, [])
})
