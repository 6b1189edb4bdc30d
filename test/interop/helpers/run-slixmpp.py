"""Obeys the orders of orders.ts with slixmpp."""
import asyncio
import io
import json
import logging
import pathlib
import ssl
import sys

import slixmpp
from slixmpp.exceptions import IqError


def tell(**event):
    print(json.dumps(event), flush=True)


class Device(slixmpp.ClientXMPP):
    def __init__(self, order, user, code=None):
        resource = order.get('resource')
        jid = f'{user}@{order["domain"]}/{resource}' if user else order['domain']
        super().__init__(jid, order['password'])
        self.order = order
        self.code = code
        self.auto_authorize = None
        # The development certificate signs itself.
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for plugin in ('xep_0030', 'xep_0198', 'xep_0199', 'xep_0203', 'xep_0280', 'xep_0313'):
            self.register_plugin(plugin)
        if order['do'] == 'phone' or order['register']:
            self.register_plugin('xep_0004')
            self.register_plugin('xep_0066')
            self.register_plugin('xep_0077')
            on_form = self.fill_in_form if order['do'] == 'phone' else self.fill_in_fields
            self.add_event_handler('register', on_form)
        self.add_event_handler('session_start', self.started)
        self.add_event_handler('roster_update', self.roster_came)
        self.add_event_handler('presence_subscribe', lambda p: tell(**{'is': 'request', 'from': p['from'].bare}))
        self.add_event_handler('presence_available', lambda p: self.presence_came(p, True))
        self.add_event_handler('presence_unavailable', lambda p: self.presence_came(p, False))
        self.add_event_handler('message', self.message_came)
        self.add_event_handler('carbon_sent', lambda m: self.copy_came('sent', m['carbon_sent']))
        self.add_event_handler('carbon_received', lambda m: self.copy_came('received', m['carbon_received']))
        for fault in ('failed_auth', 'stream_error', 'connection_failed'):
            self.add_event_handler(fault, lambda e, fault=fault: tell(**{'is': 'failed', 'why': f'{fault}: {e}'}))

    async def fill_in_fields(self, _form):
        iq = self.Iq()
        iq['type'] = 'set'
        iq['register']['username'] = self.order['user']
        iq['register']['password'] = self.order['password']
        await iq.send()
        tell(**{'is': 'registered', 'user': self.order['user']})

    async def fill_in_form(self, offered):
        """The number first, then the code that the test read."""
        fields = list(offered['register']['form'].get_fields())
        filled = {'phone': self.order['phone'], 'password': self.order['password']}
        try:
            await self.submit(filled)
        except IqError as refusal:
            error = refusal.iq['error']
            tell(**{'is': 'asked', 'condition': error['condition'], 'text': error['text'], 'fields': fields})
        answer = await self.submit({**filled, 'code': await self.code})
        tell(**{'is': 'registered', 'user': answer['register']['username']})
        self.abort()

    async def submit(self, values):
        iq = self.Iq()
        iq['type'] = 'set'
        form = iq['register']['form']
        form['type'] = 'submit'
        form.add_field(var='FORM_TYPE', ftype='hidden', value='jabber:iq:register')
        for name, value in values.items():
            form.add_field(var=name, value=value)
        return await iq.send()

    async def started(self, _):
        await self.get_roster()
        self.send_presence()
        tell(**{'is': 'online', 'jid': self.boundjid.full})

    def roster_came(self, iq):
        for jid, item in iq['roster']['items'].items():
            tell(**{'is': 'contact', 'jid': str(jid), 'subscription': item['subscription']})

    def presence_came(self, presence, available):
        tell(**{'is': 'presence', 'from': str(presence['from']), 'available': available})

    def message_came(self, message):
        if message['type'] == 'error' or not message['body']:
            return
        delayed = message.xml.find('{urn:xmpp:delay}delay') is not None
        tell(**{'is': 'message', 'from': str(message['from']), 'body': message['body'], 'delayed': delayed})

    def copy_came(self, direction, message):
        told = {'is': 'copy', 'direction': direction, 'from': str(message['from']), 'to': str(message['to'])}
        tell(**told, body=message['body'])

    async def upload(self, name, content_type, body):
        self.register_plugin('xep_0363')
        disco = self['xep_0030']

        async def info_from_domain(domain=None, **_):
            items = await disco.get_items(jid=domain or self.boundjid.domain)
            return [await disco.get_info(jid=jid) for jid, _, _ in items['disco_items']['items']]
        # COMPAT(slixmpp 1.8.3): its own gives coroutines to asyncio.wait, which Python 3.11 refuses.
        disco.get_info_from_domain = info_from_domain
        content = body.encode()
        url = await self['xep_0363'].upload_file(
            pathlib.Path(name), len(content), content_type, input_file=io.BytesIO(content))
        tell(**{'is': 'uploaded', 'url': url})

    async def tell_history(self, contact):
        messages = []
        async for found in self['xep_0313'].iterate(with_jid=contact, rsm={'max': 2}):
            message = found['mam_result']['forwarded']['stanza']
            messages.append({'id': found['mam_result']['id'], 'from': str(message['from']), 'body': message['body']})
        tell(**{'is': 'history', 'messages': messages})

    async def tell_keys(self, owner):
        self.register_plugin('xep_0060')
        get_items = self['xep_0060'].get_items
        node = 'urn:xmpp:openpgp:0:public-keys'
        keys = {}
        try:
            for item in (await get_items(owner, node))['pubsub']['items']:
                for listed in item['payload']:
                    fingerprint = listed.attrib['v4-fingerprint']
                    found = await get_items(owner, f'{node}:{fingerprint}', max_items='1')
                    keys[fingerprint] = found['pubsub']['items']['item']['payload'][0].text
            tell(**{'is': 'keys', 'keys': keys})
        except IqError as refusal:
            tell(**{'is': 'keys', 'keys': keys, 'error': refusal.iq['error']['condition']})

    def send(self, data, use_filters=True):
        # COMPAT(slixmpp 1.8.3): before login it keeps back all requests but bind and session, its own registration too.
        if isinstance(data, slixmpp.Iq) and data.get_plugin('register', check=True):
            self.waiting_queue.put_nowait((data, use_filters))
        else:
            super().send(data, use_filters)

    def send_raw(self, data):
        super().send_raw(data)
        if isinstance(data, str) and data.startswith('<a xmlns="urn:xmpp:sm:3"'):
            tell(**{'is': 'acknowledged'})

    def connect_to_server(self):
        self.connect(('127.0.0.1', self.order['port']))


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    code = loop.create_future()
    device = None
    while line := await reader.readline():
        order = json.loads(line)
        match order['do']:
            case 'login':
                device = Device(order, order['user'])
                device.connect_to_server()
            case 'phone':
                device = Device(order, '', code)
                device.connect_to_server()
            case 'code':
                code.set_result(order['code'])
            case 'add':
                await device.update_roster(order['jid'])
                device.send_presence_subscription(pto=order['jid'])
            case 'accept':
                device.send_presence_subscription(pto=order['jid'], ptype='subscribed')
            case 'say':
                device.send_message(mto=order['to'], mbody=order['body'], mtype='chat')
            case 'copies':
                await device['xep_0280'].enable()
                tell(**{'is': 'copying'})
            case 'history':
                await device.tell_history(order['with'])
            case 'upload':
                await device.upload(order['name'], order['type'], order['body'])
            case 'keys':
                await device.tell_keys(order['of'])
            case 'leave':
                await device.disconnect()
                return


logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
