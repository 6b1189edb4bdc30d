import { bounce, story } from '../helpers/story.ts'

const MAM = 'urn:xmpp:mam:2'
const prefs = (rule: string, always: readonly string[] = [], never: readonly string[] = []): string => {
  const list = (name: string, jids: readonly string[]): string =>
    `<${name}>${jids.map((jid) => `<jid>${jid}</jid>`).join('')}</${name}>`
  return `<prefs xmlns='${MAM}' default='${rule}'>${list('always', always)}${list('never', never)}</prefs>`
}

story('preferences are kept, prepared, for all devices', async ({ client, domain }) => {
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  const answer = (id: string, device: typeof phone, payload: string): string =>
    `<iq type='result' id='${id}' from='${phone.bare}' to='${device.jid}'>${payload}</iq>`
  await phone.sends(`<iq type='get' id='p1'><prefs xmlns='${MAM}'/></iq>`)
  await phone.receives(answer('p1', phone, prefs('always')))
  const given = prefs('roster', [`ROMEO@${domain}`, `romeo@${domain}`], [`Montague@${domain}/Hall`])
  const kept = prefs('roster', [`romeo@${domain}`], [`montague@${domain}/Hall`])
  await phone.sends(`<iq type='set' id='p2'>${given}</iq>`)
  await phone.receives(answer('p2', phone, kept))
  await laptop.sends(`<iq type='get' id='p3' to='${laptop.bare}'><prefs xmlns='${MAM}'/></iq>`)
  await laptop.receives(answer('p3', laptop, kept))
  await laptop.sends(`<iq type='set' id='p4'><prefs xmlns='${MAM}' default='never'/></iq>`)
  await laptop.receives(answer('p4', laptop, prefs('never')))
  await phone.sends(`<iq type='get' id='p5'><prefs xmlns='${MAM}'/></iq>`)
  await phone.receives(answer('p5', phone, prefs('never')))
})

story('what is no preference is an error and changes nothing', async ({ client, domain }) => {
  const phone = await client('juliet', 'phone')
  const many = Array.from({ length: 201 }, (_, i) => `c${i}@${domain}`)
  for (const [type, condition, payload] of [
    ['modify', 'bad-request', `<prefs xmlns='${MAM}'/>`],
    ['modify', 'bad-request', prefs('sometimes')],
    ['modify', 'jid-malformed', prefs('never', ['@'])],
    ['modify', 'jid-malformed', prefs('never', [], [''])],
    ['modify', 'policy-violation', prefs('never', many.slice(100), many.slice(0, 100).concat('x@example.org'))],
  ] as const) {
    await phone.sends(`<iq type='set' id='p1'>${payload}</iq>`)
    await phone.receives(bounce('iq', { id: 'p1', from: phone.bare, to: phone.jid }, type, condition))
  }
  await phone.sends(`<iq type='get' id='p2'><prefs xmlns='${MAM}'/></iq>`)
  await phone.receives(`<iq type='result' id='p2' from='${phone.bare}' to='${phone.jid}'>${prefs('always')}</iq>`)
  await phone.sends(`<iq type='set' id='p3'>${prefs('always', many.slice(0, 200))}</iq>`)
  await phone.receives(
    `<iq type='result' id='p3' from='${phone.bare}' to='${phone.jid}'>${prefs('always', many.slice(0, 200))}</iq>`,
  )
})

story('nobody else’s', async ({ client, account }) => {
  const juliet = await account('juliet')
  const romeo = await client('romeo', 'orchard')
  for (const [type, payload] of [
    ['get', `<prefs xmlns='${MAM}'/>`],
    ['set', prefs('never')],
  ]) {
    await romeo.sends(`<iq type='${type}' id='p1' to='${juliet}'>${payload}</iq>`)
    await romeo.receives(bounce('iq', { id: 'p1', from: juliet, to: romeo.jid }, 'cancel', 'service-unavailable'))
  }
})
