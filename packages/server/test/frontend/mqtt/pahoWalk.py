"""The Eclipse Paho client at the mqtts door. One JSON line for each thing that happens.

usage: pahoWalk.py device|application|refused VERSION PORT FOLDER EUI64
"""

import json
import ssl
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

role, version, port, folder, eui64 = sys.argv[1:]
is5 = version == "5"
own = f"devices/{eui64}"


def tell(**what):
    print(json.dumps(what), flush=True)


def new_client(client_id):
    protocol = mqtt.MQTTv5 if is5 else mqtt.MQTTv311
    # 2.x asks which callbacks are meant; 1.x has those of VERSION1 only.
    older = getattr(mqtt, "CallbackAPIVersion", None)
    arguments = [] if older is None else [older.VERSION1]
    client = mqtt.Client(*arguments, client_id=client_id, protocol=protocol)
    client.tls_set(
        ca_certs=f"{folder}/ca.pem",
        certfile=f"{folder}/{role}.pem",
        keyfile=f"{folder}/{role}.key",
        tls_version=ssl.PROTOCOL_TLS_CLIENT,
    )
    return client


def code_of(rc):
    return getattr(rc, "value", rc)


def connected(client, userdata, flags, rc, properties=None):
    tell(connected=code_of(rc), present=flags["session present"])
    if code_of(rc) != 0:
        client.disconnect()
        return
    if role == "device":
        client.subscribe(f"{own}/commands/#", qos=1)
    if role == "application":
        client.subscribe(f"{own}/#", qos=1)


def subscribed(client, userdata, mid, granted, properties=None):
    tell(subscribed=[code_of(code) for code in granted])
    if role == "device":
        for qos in (0, 1, 2):
            client.publish(f"{own}/paho/{qos}", json.dumps({"qos": qos}), qos=qos)


def published(client, userdata, mid):
    tell(published=mid)


def received(client, userdata, message):
    text = message.payload.decode()
    tell(topic=message.topic, payload=text, qos=message.qos, retain=bool(message.retain))
    if role == "device":
        answered = f"{own}/results/{json.loads(text)['id']}"
        properties = Properties(PacketTypes.PUBLISH) if is5 else None
        if is5:
            properties.ContentType = "application/json"
        client.publish(answered, '{"done":true}', qos=1, properties=properties)
    if message.topic.endswith("/last"):
        client.disconnect()


def disconnected(client, userdata, rc, properties=None):
    tell(disconnected=code_of(rc))
    # Otherwise it would come back for ever.
    client.disconnect()


client = new_client(f"paho {role}")
client.on_connect = connected
client.on_subscribe = subscribed
client.on_publish = published
client.on_message = received
client.on_disconnect = disconnected
client.connect("localhost", int(port), keepalive=60)
client.loop_forever(retry_first_connection=False)
