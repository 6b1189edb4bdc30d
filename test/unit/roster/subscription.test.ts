import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RosterItem } from '../../../src/roster/store.ts'
import {
  cellOf,
  isPendingIn,
  isPendingOut,
  isSeen,
  STATES,
  type State,
  SUBSCRIPTION_TYPES,
  type SubscriptionType,
  seesUs,
  stateOf,
  subscriptionOf,
} from '../../../src/roster/subscription.ts'

/**
 * RFC 6121 Appendix A, a line per state as the RFC has them: `>` is routed or delivered, `.` is not, `!` is answered by the
 * server; then the new state, `=` for no change; then what becomes of the pre-approval.
 */
const EXPECTED = `
                outbound                                                        inbound
                subscribe       unsubscribe     subscribed      unsubscribed    subscribe       unsubscribe   subscribed    unsubscribed
none            >none+out       >=              .=/yes          .=/no           >none+in        .=            .=            .=
none+out        >=              >none           .=/yes          .=/no           >none+out+in    .=            >to           >none
none+in         >none+out+in    >=              >from           >none/no        .=              >none         .=            .=
none+out+in     >=              >none+in        >from+out       >none+out/no    .=              >none+out     >to+in        >none+in
to              >=              >none           .=/yes          .=/no           >to+in          .=            .=            >none
to+in           >=              >none+in        >both           >to/no          .=              >to           .=            >none+in
from            >from+out       >=              .=              >none/no        !=              >none         .=            .=
from+out        >=              >from           .=              >none+out/no    !=              >none+out     >both         >from
both            >=              >from           .=              >to/no          !=              >to           .=            >from
`
const ROWS = EXPECTED.trim().split('\n').slice(2)
const COLUMNS = (['outbound', 'inbound'] as const).flatMap((direction) =>
  (['subscribe', 'unsubscribe', 'subscribed', 'unsubscribed'] as const).map((type) => ({ direction, type })),
)

for (const row of ROWS) {
  const [state, ...cells] = row.trim().split(/\s+/) as [State, ...string[]]
  for (const [i, { direction, type }] of COLUMNS.entries()) {
    test(`${direction} ${type} in ${state}: ${cells[i]}`, () => {
      const [, mark, next, approved] = /^([>.!])([^/]+)(?:\/(yes|no))?$/.exec(cells[i] as string) as string[]
      assert.deepEqual(cellOf(direction, type, state, false), {
        next: next === '=' ? state : next,
        pass: mark === '>',
        reply: mark === '!',
        approved: approved && approved === 'yes',
      })
    })
  }
}

test('an approved contact is answered at once, whatever the table says for a stranger (RFC 6121 §3.4.3)', () => {
  const expected: Partial<Record<State, State>> = { none: 'from', 'none+out': 'from+out', to: 'both' }
  for (const state of STATES) {
    const cell = cellOf('inbound', 'subscribe', state, true)
    const next = expected[state]
    if (next === undefined) assert.deepEqual(cell, cellOf('inbound', 'subscribe', state, false))
    else assert.deepEqual(cell, { next, pass: false, reply: true, approved: undefined })
  }
})

test('the approval of a contact changes no other cell', () => {
  for (const state of STATES) {
    for (const { direction, type } of COLUMNS) {
      if (direction === 'inbound' && type === 'subscribe') continue
      assert.deepEqual(cellOf(direction, type, state, true), cellOf(direction, type, state, false))
    }
  }
})

test('a state and its parts say the same', () => {
  for (const state of STATES) {
    const pendingIn = isPendingIn(state) ? new Uint8Array() : undefined
    assert.equal(stateOf({ subscription: subscriptionOf(state), pendingOut: isPendingOut(state), pendingIn }), state)
  }
  assert.equal(stateOf(undefined), 'none')
})

test('who sees whom', () => {
  const see = (subscription: RosterItem['subscription']) => {
    const item = { subscription } as RosterItem
    return [seesUs(item), isSeen(item)]
  }
  assert.deepEqual(see('none'), [false, false])
  assert.deepEqual(see('to'), [false, true])
  assert.deepEqual(see('from'), [true, false])
  assert.deepEqual(see('both'), [true, true])
  assert.deepEqual([seesUs(undefined), isSeen(undefined)], [false, false])
})

test('two accounts whose stanzas arrive agree on who sees whom, whatever they do', () => {
  interface Side {
    state: State
    approved: boolean
  }
  const receive = (to: Side, from: Side, type: SubscriptionType): void => {
    const cell = cellOf('inbound', type, to.state, to.approved)
    to.state = cell.next
    if (cell.reply) receive(from, to, 'subscribed')
  }
  const send = (from: Side, to: Side, type: SubscriptionType): void => {
    const cell = cellOf('outbound', type, from.state, from.approved)
    from.state = cell.next
    from.approved = cell.approved ?? from.approved
    if (cell.pass) receive(to, from, type)
  }
  const action = fc.record({ byRomeo: fc.boolean(), type: fc.constantFrom(...SUBSCRIPTION_TYPES) })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 12 }), (actions) => {
      const romeo: Side = { state: 'none', approved: false }
      const juliet: Side = { state: 'none', approved: false }
      for (const { byRomeo, type } of actions) {
        if (byRomeo) send(romeo, juliet, type)
        else send(juliet, romeo, type)
        for (const [a, b] of [
          [romeo, juliet],
          [juliet, romeo],
        ] as const) {
          const sees = ['to', 'both'].includes(subscriptionOf(a.state))
          assert.equal(sees, ['from', 'both'].includes(subscriptionOf(b.state)), `${a.state} / ${b.state}`)
          assert.equal(isPendingOut(a.state), isPendingIn(b.state), `${a.state} / ${b.state}`)
        }
      }
    }),
    { numRuns: 500 },
  )
})
