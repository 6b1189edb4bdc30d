"""Many clients of slixmpp in one process, which obey the orders of a fault test (foreign-devices.ts). They only receive."""
import asyncio
import json
import logging
import ssl
import sys

import slixmpp

COME_S = 5


def tell(**event):
    print(json.dumps(event), flush=True)


class Device(slixmpp.ClientXMPP):
    def __init__(self, order):
        super().__init__(f'{order["user"]}@{order["domain"]}/{order["resource"]}', order['password'])
        self.name = order['name']
        self.of = order['domain']
        self.port = order['port']
        self.is_online = False
        self.comes_again = False
        self.giving_up = None
        self.is_given_up = False
        self.negotiations = set()
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
        # It may have been cut and not noticed yet.
        self.comes_again = self.is_online
        if not self.is_online:
            self.giving_up = asyncio.get_running_loop().call_later(COME_S, self.gives_up, 'not in time')
            self.connect(('127.0.0.1', self.port))

    # COMPAT(slixmpp 1.8.3): it does not notice a connection lost in the TLS handshake, and never comes again.
    async def start_tls(self):
        is_secure = await super().start_tls()
        if not is_secure:
            self.gives_up('no TLS')
        return is_secure

    # COMPAT(slixmpp 1.8.3): what it was negotiating when the connection was lost goes on on the next, which is bound twice then.
    async def _handle_stream_features(self, features):
        task = asyncio.current_task()
        self.negotiations.add(task)
        try:
            return await super()._handle_stream_features(features)
        finally:
            self.negotiations.discard(task)

    def cut(self):
        try:
            self.abort()
        except AttributeError:
            # asyncio of Python 3.11: a connection that was lost already.
            self.lost('cut')

    def gives_up(self, why):
        if not self.is_given_up and not self.is_online:
            self.lost(why)
            self.is_given_up = True
            self.cancel_connection_attempt()
            self.cut()

    def started(self, _):
        if not self.is_given_up:
            self.send_presence()
            self.comes(False)

    def resumed(self, _):
        self.comes(True)

    def comes(self, resumed):
        self.giving_up.cancel()
        self.is_online = True
        tell(**{'is': 'online', 'name': self.name, 'resumed': resumed})

    def lost(self, why):
        self.giving_up.cancel()
        self.is_online = False
        for task in self.negotiations - {asyncio.current_task()}:
            task.cancel()
        if not self.is_given_up:
            tell(**{'is': 'offline', 'name': self.name, 'why': str(why)})
            if self.comes_again:
                self.come()

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
                if device is None or device.is_given_up:
                    device = devices[order['name']] = Device(order)
                device.come()
            case 'cut':
                if device is not None:
                    device.cut()
            case 'leave':
                if device is not None:
                    del devices[order['name']]
                    await device.disconnect()


logging.basicConfig(level=logging.ERROR)
asyncio.run(main())
