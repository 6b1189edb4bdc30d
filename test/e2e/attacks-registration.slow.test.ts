import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { phoneKey } from '../helpers/bridge-certificate.ts'
import { codeIn, KONTALK_CODE, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { authenticate, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Row 32 of the attacks: what strangers can do with numbers and codes. */

const REGISTER = 'jabber:iq:register'
const budget = (hour: number) => ({ hour, day: hour })
const withBudgets = (registration: Readonly<Record<string, unknown>>) =>
  ({
    servers: 1,
    config: {
      account: { registration: ['sms'] },
      sms: { provider: 'console' },
      limits: { registration: { ...WIDE_BUDGETS, ...registration } },
    },
  }) as const
const TOO_MANY = /type='error'.*<error type='wait'.*<service-unavailable.*Too many attempts\./
const WRONG_CODE = /type='error'.*<bad-request.*Invalid verification code\./

/** One step of a registration, on a connection of its own. */
async function step(
  tell: Story,
  fields: Readonly<Record<string, string>>,
  localAddress = '127.0.0.1',
): Promise<string> {
  const port = tell.servers[0]?.directTlsPort ?? 0
  const c = await XmppConnection.open({ port, domain: tell.domain, directTls: true, localAddress })
  try {
    await secureStream(c)
    c.write(registrationForm({ FORM_TYPE: REGISTER, ...fields }))
    return write(await c.element())
  } finally {
    c.destroy()
  }
}
const asks = (tell: Story, phone: string, localAddress?: string): Promise<string> =>
  step(tell, { phone, challenge: 'pin' }, localAddress)
const answers = (tell: Story, phone: string, code: string, localAddress?: string): Promise<string> =>
  step(tell, { phone, code, password: PASSWORD }, localAddress)
const wrong = (code: string): string => (code.startsWith('1') ? `2${code.slice(1)}` : `1${code.slice(1)}`)
const number = (i: number, prefix = '+49151'): string => `${prefix}${String(2_345_000 + i).padStart(8, '1')}`
/** An answer without what was asked, which it may give back. */
const error = (answer: string): string => /<error.*<\/error>/.exec(answer)?.[0] ?? answer

story(
  'row 32: registration.number: one number gets so many codes, whoever asks and however it is written',
  async (tell) => {
    const phone = '+4915123456780'
    for (const text of [phone, '+49 (0)151 23456780']) assert.match(await asks(tell, text), /type='result'/)
    for (const [text, from] of [
      [phone, '127.0.0.2'],
      ['+49-1512-3456780', '127.0.0.3'],
    ] as const)
      assert.match(await asks(tell, text, from), TOO_MANY)
    assert.equal(tell.codes.length, 2)
    assert.match(await asks(tell, '+4915123456781'), /type='result'/)
  },
  withBudgets({ number: budget(2) }),
)

story(
  'row 32: registration.address: one address asks for so many codes, and another is not concerned',
  async (tell) => {
    for (let i = 0; i < 3; i++) assert.match(await asks(tell, number(i), '127.0.0.2'), /type='result'/)
    for (let i = 3; i < 6; i++) assert.match(await asks(tell, number(i), '127.0.0.2'), TOO_MANY)
    assert.match(await asks(tell, number(3), '127.0.0.3'), /type='result'/)
    assert.equal(tell.codes.length, 4)
  },
  withBudgets({ address: budget(3) }),
)

story(
  'row 32: registration.network: addresses of one network are one in the end',
  async (tell) => {
    for (let i = 0; i < 3; i++) assert.match(await asks(tell, number(i), `127.0.3.${i + 1}`), /type='result'/)
    for (let i = 3; i < 6; i++) assert.match(await asks(tell, number(i), `127.0.3.${i + 1}`), TOO_MANY)
    assert.match(await asks(tell, number(3), '127.0.4.1'), /type='result'/)
    assert.equal(tell.codes.length, 4)
  },
  withBudgets({ network: budget(3) }),
)

story(
  'row 32: registration.prefix: a flood over neighbouring numbers from many addresses ends',
  async (tell) => {
    const sent: string[] = []
    for (let i = 0; i < 12; i++)
      if (/type='result'/.test(await asks(tell, number(i), `127.0.1.${i + 1}`))) sent.push(number(i))
    assert.equal(sent.length, 4)
    assert.equal(tell.codes.length, 4)
    assert.match(await asks(tell, number(0, '+49171')), /type='result'/)
  },
  withBudgets({ prefix: budget(4) }),
)

story(
  'row 32: registration.country and registration.total: what codes may cost',
  async (tell) => {
    assert.match(await asks(tell, number(0, '+49151')), /type='result'/)
    assert.match(await asks(tell, number(0, '+49171')), /type='result'/)
    assert.match(await asks(tell, number(0, '+49160')), TOO_MANY)
    assert.match(await asks(tell, '+393401234567'), /type='result'/)
    assert.match(await asks(tell, '+33612345678'), TOO_MANY)
    assert.equal(tell.codes.length, 3)
  },
  // Half of them is for numbers of which nothing good is known.
  withBudgets({ country: budget(4), total: budget(6) }),
)

story(
  'row 32: registration.code_attempts: guesses on many connections at once are counted together, then the right code is wrong',
  async (tell) => {
    const phone = number(0)
    await asks(tell, phone)
    const code = codeIn(tell.codes)
    const guesses = Array.from({ length: 30 }, (_, i) => String(i).padStart(code.length, '0')).filter((g) => g !== code)
    const told = await Promise.all(guesses.map((guess, i) => answers(tell, phone, guess, `127.0.2.${i + 1}`)))
    for (const answer of told) assert.match(answer, WRONG_CODE)
    assert.match(await answers(tell, phone, code), WRONG_CODE)
    assert.equal(new Set([...told, await answers(tell, phone, code)].map(error)).size, 1)
  },
  withBudgets({ code_attempts: 3 }),
)

story(
  'row 32: registration.code_lifetime: a code that has expired is as wrong as any',
  async (tell) => {
    await asks(tell, number(0))
    const code = codeIn(tell.codes)
    const late = await answers(tell, number(0), code)
    assert.match(late, WRONG_CODE)
    assert.equal(error(late), error(await answers(tell, number(0), wrong(code))))
  },
  withBudgets({ code_lifetime: '1ms' }),
)

story(
  'row 32: registration.tries: one address tries so many codes, of whatever numbers',
  async (tell) => {
    const codes: string[] = []
    for (let i = 0; i < 4; i++) {
      await asks(tell, number(i))
      codes.push(codeIn(tell.codes))
    }
    for (let i = 0; i < 3; i++)
      assert.match(await answers(tell, number(i), wrong(codes[i] ?? ''), '127.0.0.2'), WRONG_CODE)
    assert.match(await answers(tell, number(3), codes[3] ?? '', '127.0.0.2'), TOO_MANY)
    assert.match(await answers(tell, number(3), codes[3] ?? '', '127.0.0.3'), /type='result'/)
  },
  withBudgets({ tries: budget(3) }),
)

story(
  'row 32: a wrong code tells nothing: never asked for, another number’s, used up',
  async (tell) => {
    const [mine, yours, nobodys] = [number(0), number(1), number(2)]
    await asks(tell, mine)
    const code = codeIn(tell.codes)
    await asks(tell, yours)
    const told = [
      await answers(tell, mine, wrong(code)),
      await answers(tell, yours, code),
      await answers(tell, nobodys, code),
      await answers(tell, mine, `${code}0`),
      await answers(tell, mine, 'x'.repeat(5_000)),
    ]
    for (const answer of told) assert.match(answer, WRONG_CODE)
    assert.equal(new Set(told.map(error)).size, 1)
    // A new code makes the old one worthless.
    await asks(tell, mine)
    const second = codeIn(tell.codes)
    if (second !== code) assert.match(await answers(tell, mine, code), WRONG_CODE)
    assert.match(await answers(tell, mine, second), /type='result'/)
    assert.match(await answers(tell, mine, second), /type='error'/)
  },
  withBudgets({}),
)

story(
  'row 32: two who know the same code at once get one account',
  async (tell) => {
    const phone = number(0)
    await asks(tell, phone)
    const code = codeIn(tell.codes)
    const told = await Promise.all(
      Array.from({ length: 4 }, (_, i) => step(tell, { phone, code, password: `${PASSWORD}${i}` })),
    )
    const winners = told.flatMap((answer, i) => (/type='result'/.test(answer) ? [i] : []))
    assert.equal(winners.length, 1, told.join('\n'))
    const username = createHash('sha1').update(phone).digest('hex')
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    await authenticate(c, { username, password: `${PASSWORD}${winners[0]}` })
  },
  withBudgets({}),
)

story(
  'row 32: what is no number, or costs too much, gets no code',
  async (tell) => {
    for (const phone of [
      '015123456789',
      '+0151',
      '+',
      `+49151${'2'.repeat(20)}`,
      '+4915123456789;ext=1',
      '+49151234%00567',
      'a'.repeat(10_000),
      "+49' or '1'='1",
      '__proto__',
    ])
      assert.match(await asks(tell, phone.replaceAll("'", '&apos;')), /<bad-request.*Bad phone number\./, phone)
    for (const phone of ['+8821612345678', '+881612345678', '+870123456789'])
      assert.match(await asks(tell, phone), /<not-acceptable|<bad-request/, phone)
    assert.equal(tell.codes.length, 0)
  },
  withBudgets({}),
)

story(
  'row 32: nobody registers a key, or a name, without a code',
  async (tell) => {
    const phone = number(0)
    const local = createHash('sha1').update(phone).digest('hex')
    const key = await phoneKey(`${local}@localhost`)
    for (const code of [undefined, '', '000000']) {
      const c = await tell.connection({ ...shown(key) })
      await secureStream(c)
      c.write(registrationForm({ FORM_TYPE: KONTALK_CODE, ...(code === undefined ? {} : { code }) }))
      assert.match(write(await c.element()), WRONG_CODE)
      c.write(
        `<iq type='set' id='n'><query xmlns='${REGISTER}'><username>${local}</username><password>${PASSWORD}</password></query></iq>`,
      )
      assert.match(write(await c.element()), /type='error'/)
    }
    const plain = await tell.connection()
    await plain.openStream()
    await plain.features()
    plain.write(registrationForm({ FORM_TYPE: REGISTER, phone, challenge: 'pin' }))
    await plain.endsWith('not-authorized')
    assert.equal(tell.codes.length, 0)
  },
  withBudgets({}),
)
