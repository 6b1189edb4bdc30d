import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { booleanOf, fieldValue, formElement, formIn, readForm } from '../../../src/xmpp/data-form.ts'
import { el } from '../../../src/xmpp/element.ts'
import { NS_DATA } from '../../../src/xmpp/ns.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { elementOf } from './xml-samples.ts'

const read = (inner: string, type = 'submit'): ReturnType<typeof readForm> =>
  readForm(elementOf(`<x xmlns='${NS_DATA}' type='${type}'>${inner}</x>`).element)

describe('data forms', () => {
  it('are written by XEP-0004', () => {
    const form = formElement({
      type: 'form',
      formType: 'urn:a',
      title: 'T',
      instructions: 'I',
      fields: [
        { var: 'a', type: 'boolean', label: 'A & B', required: true, values: ['1'] },
        { var: 'b', type: 'list-single', desc: 'D', options: [{ label: 'x', value: '1' }, { value: '2' }] },
      ],
    })
    assert.equal(
      serialize(form, ''),
      "<x xmlns='jabber:x:data' type='form'><title>T</title><instructions>I</instructions>" +
        "<field type='hidden' var='FORM_TYPE'><value>urn:a</value></field>" +
        "<field type='boolean' var='a' label='A &amp; B'><required/><value>1</value></field>" +
        "<field type='list-single' var='b'><desc>D</desc><option label='x'><value>1</value></option><option><value>2</value></option></field></x>",
    )
  })
  it('are read as they were written', () => {
    const form = formElement({
      type: 'submit',
      formType: 'urn:a',
      fields: [{ var: 'a', values: ['1', '2'] }, { var: 'b' }],
    })
    const got = formIn(el('query', 'urn:q', {}, form))
    assert.deepEqual(got, {
      type: 'submit',
      formType: 'urn:a',
      fields: new Map([
        ['a', ['1', '2']],
        ['b', []],
      ]),
    })
  })
  it('let no name of JavaScript misbehave', () => {
    const form = read("<field var='__proto__'><value>x</value></field><field var='constructor'/>")
    assert(form !== undefined)
    assert.equal(fieldValue(form, '__proto__'), 'x')
    assert.equal(fieldValue(form, 'constructor'), undefined)
    assert.equal(fieldValue(form, 'toString'), undefined)
  })
  it('keep the first of two fields, and none without a name or of another namespace', () => {
    const form = read(
      "<field var='a'><value>1</value></field><field var='a'><value>2</value></field><field/><field xmlns='urn:x' var='b'/>",
    )
    assert.deepEqual([...(form?.fields ?? [])], [['a', ['1']]])
  })
  it('know booleans', () => {
    const form = read(
      ['1', 'true', '0', 'false', 'yes'].map((v, i) => `<field var='${i}'><value>${v}</value></field>`).join(''),
    )
    assert(form !== undefined)
    assert.deepEqual(
      ['0', '1', '2', '3', '4', '5'].map((name) => booleanOf(form, name)),
      [true, true, false, false, undefined, undefined],
    )
  })
  it('are none of unknown type or name', () => {
    assert.equal(read('', 'constructor'), undefined)
    assert.equal(readForm(el('x', NS_DATA)), undefined)
    assert.equal(readForm(el('x', 'urn:x', { type: 'form' })), undefined)
    assert.equal(formIn(el('query', 'urn:q')), undefined)
  })
})
