"""Many clients of slixmpp in one process, which obey the orders of a fault test (foreign-devices.ts). They only receive."""
import asyncio
import json
import logging
import ssl
import sys

import slixmpp


def tell(**event):
    print(json.dumps(event), flush=True)


class Device(slixmpp.ClientXMPP):
    def __init__(self, order):
        super().__init__(f'{order["user"]}@{order["domain"]}/{order["resource"]}', order['password'])
        self.name = order['name']
        self.of = order['domain']
        self.port = order['port']
        self.is_online = False
        self.add_event_handler('session_resumed', self.resumed)
        # The development certificate signs itself.
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for plugin in ('xep_0198', 'xep_0199', 'xep_0203', 'xep_0359'):
            self.register_plugin(plugin)
        self.add_event_handler('session_start', self.started)
        self.add_event_handler('disconnected', self.lost)
        self.add_event_handler('connection_failed', self.failed)
        self.add_event_handler('message', self.message_came)

    def come(self):
        if not self.is_online:
            self.connect(('127.0.0.1', self.port))

    def started(self, _):
        self.send_presence()
        self.is_online = True
        tell(**{'is': 'online', 'name': self.name, 'resumed': False})

    def resumed(self, _):
        self.is_online = True
        tell(**{'is': 'online', 'name': self.name, 'resumed': True})

    def lost(self, why):
        self.is_online = False
        tell(**{'is': 'offline', 'name': self.name, 'why': str(why)})

    def failed(self, why):
        # When it comes again is decided by the test.
        self.cancel_connection_attempt()
        self.lost(why)

    def message_came(self, message):
        if message['type'] == 'error':
            return
        stanza_id = message.xml.find('{urn:xmpp:sid:0}stanza-id')
        delays = message.xml.findall('{urn:xmpp:delay}delay')
        tell(**{
            'is': 'message', 'name': self.name, 'id': message['id'],
            'logId': None if stanza_id is None else stanza_id.get('id'),
            'delayed': any(delay.get('from') == self.of for delay in delays),
        })


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    devices = {}
    while line := await reader.readline():
        order = json.loads(line)
        device = devices.get(order['name'])
        match order['do']:
            case 'come':
                if device is None:
                    device = devices[order['name']] = Device(order)
                device.come()
            case 'cut':
                if device is not None:
                    device.abort()
            case 'leave':
                if device is not None:
                    del devices[order['name']]
                    await device.disconnect()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main())
