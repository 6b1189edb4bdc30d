/** The suites of the log once more, through a store that seals: whatever holds there holds here. */
process.env.FERNRUF_TEST_SEALED = '1'

await import('./inbox-store.test.ts')
await import('./inbox-model.test.ts')
await import('./inbox-concurrency.test.ts')
