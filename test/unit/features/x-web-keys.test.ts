import assert from 'node:assert/strict'
import { test } from 'node:test'
import webKeys from '../../../src/features/x-web-keys.ts'
import { handlersOf } from '../../helpers/feature-handlers.ts'

test('without a public HTTP server a client still says whether its key may be fetched: others ask over XMPP', async () => {
  const unused = {} as never
  const ports = { views: unused, disco: unused, keyListing: unused }
  const handlers = await handlersOf(webKeys, { ...ports, web: undefined })
  assert.deepEqual(handlers.routes, [])
  assert.deepEqual(
    handlers.commands?.map(({ node }) => node),
    ['key-publication'],
  )
})
