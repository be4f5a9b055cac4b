#!/usr/bin/env python3
"""A home gateway for the tests: NAT-PMP and an Internet gateway device, well-behaved or not.

    gateway.py MODE INSIDE OUTSIDE      inside of a router's namespace (internet.py)

MODE: pmp, moved (NAT-PMP that gives other ports than it is asked for), pcp (and holes in the firewall for
IPv6), stranger (PCP under other numbers, then none), igd, or igd with a fault:
permanent (no leases), taken (the port is another's), chunked, endless (a description without end), loris (a byte now and then), elsewhere (the description lies at
another machine), broken (NAT-PMP and HTTP answers that are none), silent. Every request prints one
line of JSON; forwards are made with nft. A line on standard input makes the gateway start anew: it
has forgotten its forwards, and when the line is "announce" it says so (RFC 6887, section 14.1)."""
import json
import socket
import struct
import subprocess
import sys
import threading
import time

MODE, INSIDE, OUTSIDE = sys.argv[1:4]
forwards = {}  # (protocol, outside port) to (client, inside port)
holes = {}  # (protocol, client) to port
lock = threading.Lock()


def say(**line):
    with lock:
        print(json.dumps(line), flush=True)


def forward(protocol, outside, client, inside):
    forwards[protocol, outside] = (client, inside)
    rules = ["flush chain ip nat forwards"]
    rules += [f"add rule ip nat forwards iifname out {p} dport {o} dnat to {c}:{i}"
              for (p, o), (c, i) in forwards.items() if c]
    subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)


def hole(protocol, client, inside):
    """Lets one port in over IPv6, or with None nothing to that client."""
    holes[protocol, client] = inside
    rules = ["flush chain ip6 wall holes"]
    rules += [f"add rule ip6 wall holes ip6 daddr {c} {p} dport {i} accept"
              for (p, c), i in holes.items() if i]
    subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)


nonces = {}  # (client, protocol, inside) to the number under which it was mapped
began = time.monotonic() - 1000


def epoch():
    return int(time.monotonic() - began)


def start_anew(announces):
    """Under the lock of nobody: the tests ask for nothing meanwhile."""
    global began
    began = time.monotonic()
    forwards.clear()
    nonces.clear()
    subprocess.run(["nft", "flush chain ip nat forwards"], check=True)
    say(anew=announces)
    if not announces:
        return
    news = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    news.bind((INSIDE, 0))
    news.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(INSIDE))
    text = struct.pack(">BBHI4s", 0, 128, 0, epoch(), socket.inet_aton(OUTSIDE)) if MODE in ("pmp", "moved") \
        else struct.pack(">BBBBII12x", 2, 0x80, 0, 0, 0, epoch())
    news.sendto(text, ("224.0.0.1", 5350))


def map_port(data, client):
    """The answer to a MAP request, as RFC 6887 wants it."""
    seconds, whom, nonce, number, inside, _, _ = struct.unpack(">4xI16s12sB3xHH16s", data)
    address = client
    ours = socket.inet_pton(socket.AF_INET6, client if ":" in client else "::ffff:" + client)
    protocol = {6: "tcp", 17: "udp"}[number]
    known = nonces.setdefault((address, protocol, inside), nonce)
    result = 12 if whom != ours else 2 if known != nonce else 0
    say(pcp="map", protocol=protocol, inside=inside, lease=seconds, client=address, result=result)
    outside, where = inside, ours
    if ":" not in address:
        outside = inside + (1000 if protocol == "udp" else 2000)
        where = socket.inet_pton(socket.AF_INET6, "::ffff:" + OUTSIDE)
    if result == 0 and ":" in address:
        hole(protocol, address, inside if seconds else None)
    elif result == 0:
        forward(protocol, outside, address if seconds else None, inside)
    if result == 0 and not seconds:
        del nonces[address, protocol, inside]
    return result, struct.pack(">BBBBII12x12sB3xHH16s", 2, 0x81, 0, result, seconds, epoch(), nonce, number, inside,
                               outside, where)


def pcp(family, address):
    """Bound to the address at which it is asked, as that is where it must answer from."""
    server = socket.socket(family, socket.SOCK_DGRAM)
    try:
        server.bind(address)
    except OSError:
        return
    while True:
        data, client = server.recvfrom(2000)
        if len(data) != 60 or data[:2] != b"\2\1":
            server.sendto(struct.pack(">BBHI", 0, 128, 1, 1), client)
            continue
        _, answer = map_port(data, client[0])
        # Under another number first: it must be passed over.
        server.sendto(answer[:24] + bytes(12) + answer[36:], client)
        if MODE == "pcp":
            server.sendto(answer, client)


def pmp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((INSIDE, 5351))
    while True:
        data, client = server.recvfrom(64)
        if MODE == "broken":
            server.sendto(b"\0\x80\0\0\0\0\0", client)
            server.sendto(bytes(17), client)
            continue
        if data[0] == 2:  # it knows no PCP, and says so (RFC 6886, 3.5)
            say(pmp="version")
            server.sendto(struct.pack(">BBHI", 0, 128 + data[1], 1, 1), client)
            continue
        if len(data) == 2:
            say(pmp="address")
            server.sendto(struct.pack(">BBHI4s", 0, 128, 0, epoch(), socket.inet_aton(OUTSIDE)), client)
            continue
        _, op, _, inside, outside, lease = struct.unpack(">BBHHHI", data)
        protocol = {1: "udp", 2: "tcp"}[op]
        if MODE == "moved" and lease:
            outside = inside + (1000 if protocol == "udp" else 2000)
        say(pmp="map", protocol=protocol, inside=inside, outside=outside, lease=lease)
        if lease:
            forward(protocol, outside, client[0], inside)
        else:
            for known, (whom, port) in list(forwards.items()):
                if whom == client[0] and port == inside and known[0] == protocol:
                    forward(*known, None, 0)
        # An answer of another question first: it must be passed over.
        server.sendto(struct.pack(">BBHIHHI", 0, 128 + op, 0, epoch(), inside ^ 1, 7, lease), client)
        server.sendto(struct.pack(">BBHIHHI", 0, 128 + op, 0, epoch(), inside, outside, lease), client)


def ssdp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("239.255.255.250", 1900))
    server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                      socket.inet_aton("239.255.255.250") + socket.inet_aton(INSIDE))
    answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answers.bind((INSIDE, 0))
    while True:
        data, client = server.recvfrom(2000)
        kind = data.decode().split("\r\nST: ")[1].split("\r\n")[0]
        say(ssdp=kind)
        where = OUTSIDE if MODE == "elsewhere" else INSIDE
        answers.sendto(f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {kind}\r\nEXT:\r\n"
                       f"Location: http://{where}:5000/description.xml\r\n\r\n".encode(), client)


DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<controlURL>/other</controlURL></service>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
<controlURL>/control</controlURL></service>
</serviceList></device></deviceList></device></root>"""


def element(text, name):
    return text.split(f"<{name}>")[1].split("<")[0]


def fault(code):
    return 500, f"<s:Fault><detail><UPnPError><errorCode>{code}</errorCode></UPnPError></detail></s:Fault>"


def control(client, text):
    action = text.split("<u:")[1].split(" ")[0]
    if action == "GetExternalIPAddress":
        say(soap=action)
        return 200, f"<u:Response><NewExternalIPAddress>{OUTSIDE}</NewExternalIPAddress></u:Response>"
    protocol, outside = element(text, "NewProtocol").lower(), int(element(text, "NewExternalPort"))
    if action == "DeletePortMapping":
        say(soap=action, protocol=protocol, outside=outside)
        forward(protocol, outside, None, 0)
        return 200, "<u:Response/>"
    lease = int(element(text, "NewLeaseDuration"))
    say(soap=action, protocol=protocol, outside=outside, lease=lease,
        inside=int(element(text, "NewInternalPort")), to=element(text, "NewInternalClient"))
    if MODE == "permanent" and lease:
        return fault(725)
    if MODE == "taken" and outside < 4503:
        return fault(718)
    forward(protocol, outside, element(text, "NewInternalClient"), int(element(text, "NewInternalPort")))
    return 200, "<u:Response/>"


def reply(connection, status, body):
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: text/xml\r\n"
    body = body.encode()
    if MODE == "chunked":
        parts = [body[i:i + 100] for i in range(0, len(body), 100)]
        body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"
        head += "Transfer-Encoding: chunked\r\n\r\n"
    else:
        head += f"Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def misbehave(connection):
    """True when this connection got no answer worth the name."""
    if MODE == "broken":
        connection.sendall(b"SIP/2.0 200 OK\r\n\r\n")
    elif MODE == "endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        sent = 0
        while sent < 64 << 20:
            sent += connection.send(b"<service>" * 1000)
    elif MODE == "loris":
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.2)
    else:
        return False
    return True


def serve(connection, client):
    try:
        text = b""
        while b"\r\n\r\n" not in text:
            text += connection.recv(4096)
        head, body = text.split(b"\r\n\r\n", 1)
        length = [line for line in head.decode().split("\r\n") if line.lower().startswith("content-length")]
        while length and len(body) < int(length[0].split(":")[1]):
            body += connection.recv(4096)
        if misbehave(connection):
            return
        if head.startswith(b"GET /description.xml "):
            say(http="description")
            reply(connection, 200, DESCRIPTION)
        elif head.startswith(b"POST /control "):
            reply(connection, *control(client[0], body.decode()))
        else:
            reply(connection, 404, "")
    except OSError:
        say(http="cut")
    finally:
        connection.close()


def http():
    server = socket.create_server(("", 5000))
    while True:
        connection, client = server.accept()
        threading.Thread(target=serve, args=(connection, client), daemon=True).start()


say(ready=MODE)
if MODE in ("pcp", "stranger"):
    threading.Thread(target=pcp, args=(socket.AF_INET, (INSIDE, 5351)), daemon=True).start()
    threading.Thread(target=pcp, args=(socket.AF_INET6, ("fe80::1", 5351, 0, socket.if_nametoindex("in"))),
                     daemon=True).start()
if MODE in ("pmp", "moved", "broken"):
    threading.Thread(target=pmp, daemon=True).start()
if MODE not in ("pcp", "stranger", "pmp", "moved", "silent"):
    threading.Thread(target=ssdp, daemon=True).start()
    threading.Thread(target=http, daemon=True).start()
for line in sys.stdin:
    start_anew(line.strip() == "announce")
threading.Event().wait()
