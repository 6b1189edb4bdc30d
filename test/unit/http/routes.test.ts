import assert from 'node:assert/strict'
import test from 'node:test'
import { Routes } from '../../../src/http/routes.ts'

const route = (path: `/${string}`) => ({ name: path, path })
const routes = new Routes([route('/file/:id/:name'), route('/pks/lookup'), route('/a/b/:c/d')])
const found = (path: string) => {
  const { route: of, params } = routes.find(path) ?? {}
  return of === undefined ? undefined : [of.path, { ...params }]
}

test('a path finds its route and what stands in it', () => {
  assert.deepEqual(found('/pks/lookup'), ['/pks/lookup', {}])
  assert.deepEqual(found('/file/1/tr%C3%A8s%20cool.jpg'), ['/file/:id/:name', { id: '1', name: 'très cool.jpg' }])
  assert.deepEqual(found('/a/b/x/d'), ['/a/b/:c/d', { c: 'x' }])
})
test('nothing is resolved, and nothing hides a folder', () => {
  for (const path of [
    '/pks/lookup/',
    '//pks/lookup',
    '/pks',
    '/',
    '/PKS/lookup',
    '/%70ks/lookup',
    '/file/1',
    '/file//a',
    '/file/1/',
    '/file/../secret',
    '/file/1/..',
    '/file/1/.',
    '/file/1/%2e%2e',
    '/file/1/a%2fb',
    '/file/1/a%5cb',
    '/file/1/a%00b',
    '/file/1/%0d%0a',
    '/file/1/%zz',
    '/file/1/%c3',
    '/file/x/../1/a',
  ])
    assert.equal(found(path), undefined, path)
})
test('two routes for one path are a mistake of ours', () => {
  assert.throws(() => new Routes([route('/a/:b'), route('/:c/d')]))
  assert.doesNotThrow(() => new Routes([route('/a/:b'), route('/b/:c')]))
})
