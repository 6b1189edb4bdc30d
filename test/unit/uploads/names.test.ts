import assert from 'node:assert/strict'
import test from 'node:test'
import { disposition, fileName, isShown, mediaType, pathSegment } from '../../../src/uploads/names.ts'

test('a name keeps what it is called and how it ends', () => {
  const long = 'ä'.repeat(300)
  const cases: readonly (readonly [asked: string, name: string])[] = [
    ['très cool.jpg', 'très cool.jpg'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Windows\\a.exe', 'a.exe'],
    ['a\r\nset-cookie: b.txt', 'aset-cookie: b.txt'],
    ['gpj\u202e.exe', 'gpj.exe'],
    ['..', 'file'],
    ['/', 'file'],
    ['.htaccess', 'htaccess'],
    ['a\ud800b', 'ab'],
    [`${long}.jpeg`, `${'ä'.repeat(125)}.jpeg`],
    [long, 'ä'.repeat(127)],
  ]
  for (const [asked, name] of cases) assert.equal(fileName(asked), name)
  assert.ok(Buffer.byteLength(fileName(`a.${'x'.repeat(100_000)}`)) <= 255)
})
test('in an address nothing of it means anything to XML', () => {
  assert.equal(pathSegment(`a&b<c>d"e'f (1).jpg`), 'a%26b%3Cc%3Ed%22e%27f%20%281%29.jpg')
  assert.match(pathSegment('très/cool?#%'), /^[\w.%-]+$/)
})
test('in a header it breaks out of nothing', () => {
  assert.equal(disposition('inline', 'a.jpg'), `inline; filename="a.jpg"; filename*=UTF-8''a.jpg`)
  assert.equal(
    disposition('attachment', 'très "cool"\\.jpg'),
    `attachment; filename="tr_s _cool__.jpg"; filename*=UTF-8''tr%C3%A8s%20%22cool%22%5C.jpg`,
  )
})
test('types are types; only what cannot run is shown', () => {
  assert.equal(mediaType(' Image/JPEG ; q=1'), 'image/jpeg')
  for (const none of ['', 'image', 'image/', 'a/b/c', 'a b/c', 'image/jpeg\r\nx: y', `a/${'b'.repeat(200)}`])
    assert.equal(mediaType(none), undefined, none)
  assert.ok(isShown('image/png'))
  for (const type of ['text/html', 'image/svg+xml', 'application/pdf', 'text/xml', 'application/octet-stream'])
    assert.equal(isShown(type), false, type)
})
