"""Files that really are encrypted, each with a password of its own: made here from their standards, so
that nothing but `cryptography` is needed, which moto brings.

Sources: WinZip's AES specification (AE-2); ISO 32000-1, 7.6; [MS-OFFCRYPTO] 2.3.4.10 (agile);
[MS-CFB]; APPNOTE.TXT 6.1 (the traditional cipher).
"""
import base64
import hashlib
import hmac
import os
import struct
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PASSWORD = b"correct horse"


def aes(key, mode, data):
    encryptor = Cipher(algorithms.AES(key), mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


# ---- zip ----

def zip_of(name, method, flags, extra, body, crc, size):
    """One member; body is as it stands in the archive."""
    fixed = struct.pack("<HHHHHIII", 51, flags, method, 0, 0x5A21, crc, len(body), size)
    local = b"PK\3\4" + fixed + struct.pack("<HH", len(name), len(extra)) + name + extra + body
    central = (b"PK\1\2" + struct.pack("<H", 51) + fixed + struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, 0, 0) +
               name + extra)
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def aes_zip(content, name=b"secret.txt"):
    """AES-256, as 7-Zip and WinZip make it."""
    salt = os.urandom(16)
    keys = hashlib.pbkdf2_hmac("sha1", PASSWORD, salt, 1000, 66)
    packer = zlib.compressobj(wbits=-15)
    plain = packer.compress(content) + packer.flush()
    blocks = b"".join(i.to_bytes(16, "little") for i in range(1, len(plain) // 16 + 2))
    stream = aes(keys[:32], modes.ECB(), blocks)  # the counter is little-endian
    secret = bytes(a ^ b for a, b in zip(plain, stream))
    body = salt + keys[64:] + secret + hmac.new(keys[32:64], secret, "sha1").digest()[:10]
    extra = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 8)
    return zip_of(name, 99, 1, extra, body, 0, len(content))


def traditional_zip(content, name=b"secret.txt"):
    """PKWARE's own cipher, as zip -e makes it."""
    table = [0] * 256
    for i in range(256):
        value = i
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        table[i] = value
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte):
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 255]
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 255]
    for byte in PASSWORD:
        update(byte)
    crc = zlib.crc32(content)
    body = bytearray()
    for byte in os.urandom(11) + bytes([crc >> 24]) + content:
        word = keys[2] | 2
        body.append(byte ^ (((word * (word ^ 1)) >> 8) & 255))
        update(byte)
    return zip_of(name, 0, 1, b"", bytes(body), crc, len(content))


# ---- PDF ----

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def rc4(key, data):
    box, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 255
        box[i], box[j] = box[j], box[i]
    i = j = 0
    for byte in data:
        i = (i + 1) & 255
        j = (j + box[i]) & 255
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) & 255])
    return bytes(out)


def pdf(content):
    """A page whose stream is encrypted with AES-128 (V 4, R 4) by a user's password."""
    padded, identity = (PASSWORD + PADDING)[:32], os.urandom(16)
    digest = hashlib.md5(padded).digest()
    for _ in range(50):
        digest = hashlib.md5(digest).digest()
    owner = padded
    for i in range(20):
        owner = rc4(bytes(byte ^ i for byte in digest), owner)
    permissions = struct.pack("<i", -3904)
    key = hashlib.md5(padded + owner + permissions + identity).digest()
    for _ in range(50):
        key = hashlib.md5(key).digest()
    user = hashlib.md5(PADDING + identity).digest()
    for i in range(20):
        user = rc4(bytes(byte ^ i for byte in key), user)
    number, vector = 4, os.urandom(16)
    own = hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0sAlT").digest()
    text = b"BT /F1 12 Tf 72 700 Td (" + content + b") Tj ET"
    fill = 16 - len(text) % 16
    stream = vector + aes(own, modes.CBC(vector), text + bytes([fill]) * fill)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Filter/Standard/V 4/R 4/Length 128/P -3904/O<%s>/U<%s>/StmF/StdCF/StrF/StdCF"
        b"/CF<</StdCF<</CFM/AESV2/AuthEvent/DocOpen/Length 16>>>>>>" %
        (owner.hex().encode(), (user + bytes(16)).hex().encode())]
    out, places = bytearray(b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n"), []
    for i, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, one)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    identity = identity.hex().encode()
    return bytes(out) + (b"trailer\n<</Size %d/Root 1 0 R/Encrypt 5 0 R/ID[<%s><%s>]>>\nstartxref\n%d\n%%%%EOF\n" %
                         (len(objects) + 1, identity, identity, table))


# ---- Office ----

SECTOR, MINI_CUTOFF = 512, 4096
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def compound(streams):
    """A compound file of these streams, each filled up so that it stands in sectors of its own."""
    sectors, chain, starts = [], [], []
    for content in streams.values():
        content = content.ljust(MINI_CUTOFF, b"\0")
        count = -(-len(content) // SECTOR)
        starts.append((len(sectors), len(content)))
        content = content.ljust(count * SECTOR, b"\0")
        chain += list(range(len(sectors) + 1, len(sectors) + count)) + [END]
        sectors += [content[i * SECTOR:(i + 1) * SECTOR] for i in range(count)]

    def entry(name, kind, left, right, child, start, size):
        text = name.encode("utf-16-le") + b"\0\0" if name else b""
        return (text.ljust(64, b"\0") + struct.pack("<HBB3I", len(text), kind, 1, left, right, child) + bytes(36) +
                struct.pack("<IQ", start, size))
    names = list(streams)
    entries = [entry("Root Entry", 5, FREE, FREE, 1, END, 0)]
    # A tree that is a list: each is the right sibling of the one before, in the format's order.
    for i, name in enumerate(names):
        right = i + 2 if i + 1 < len(names) else FREE
        entries.append(entry(name, 2, FREE, right, FREE, *starts[i]))
    while len(entries) % 4:
        entries.append(entry("", 0, FREE, FREE, FREE, 0, 0))
    directory = len(sectors)
    listed = b"".join(entries)
    count = len(listed) // SECTOR
    chain += list(range(directory + 1, directory + count)) + [END]
    sectors += [listed[i * SECTOR:(i + 1) * SECTOR] for i in range(count)]
    table, tables = len(sectors), 1
    while (len(sectors) + tables) * 4 > tables * SECTOR:
        tables += 1
    chain += [FAT] * tables
    packed = struct.pack(f"<{len(chain)}I", *chain).ljust(tables * SECTOR, b"\xff")
    head = (bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6) +
            struct.pack("<IIIIIIIII", 0, tables, directory, 0, MINI_CUTOFF, END, 0, END, 0) +
            struct.pack(f"<{tables}I", *range(table, table + tables)))
    return head.ljust(SECTOR, b"\xff") + b"".join(sectors) + packed


def office(content):
    """What Office makes of a document with a password to open: AES-256, SHA-512, a package in an
    encrypted stream."""
    salts = [os.urandom(16), os.urandom(16)]
    spins = 1000  # Office takes 100,000; nobody opens this one
    digest = hashlib.sha512(salts[1] + PASSWORD.decode().encode("utf-16-le")).digest()
    for i in range(spins):
        digest = hashlib.sha512(struct.pack("<I", i) + digest).digest()

    def with_password(block, data):
        key = hashlib.sha512(digest + bytes.fromhex(block)).digest()[:32]
        return aes(key, modes.CBC(salts[1]), data)
    verifier, package_key = os.urandom(16), os.urandom(32)
    secret = b""
    for i in range(0, len(content), 4096):
        part = content[i:i + 4096]
        vector = hashlib.sha512(salts[0] + struct.pack("<I", i // 4096)).digest()[:16]
        secret += aes(package_key, modes.CBC(vector), part + bytes(-len(part) % 16))
    encoded = {name: base64.b64encode(value).decode() for name, value in (
        ("key", salts[0]), ("password", salts[1]), ("input", with_password("fea7d2763b4b9e79", verifier)),
        ("value", with_password("d7aa0f6d3061344e", hashlib.sha512(verifier).digest())),
        ("sealed", with_password("146e0be7abacd0d6", package_key)))}
    cipher = ('saltSize="16" blockSize="16" keyBits="256" hashSize="64" cipherAlgorithm="AES" '
              'cipherChaining="ChainingModeCBC" hashAlgorithm="SHA512"')
    said = ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<encryption '
            'xmlns="http://schemas.microsoft.com/office/2006/encryption" '
            'xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password">'
            f'<keyData {cipher} saltValue="{encoded["key"]}"/><keyEncryptors><keyEncryptor '
            'uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password"><p:encryptedKey '
            f'spinCount="{spins}" {cipher} saltValue="{encoded["password"]}" '
            f'encryptedVerifierHashInput="{encoded["input"]}" encryptedVerifierHashValue="{encoded["value"]}" '
            f'encryptedKeyValue="{encoded["sealed"]}"/></keyEncryptor></keyEncryptors></encryption>')
    return compound({"EncryptionInfo": struct.pack("<HHI", 4, 4, 0x40) + said.encode(),
                     "EncryptedPackage": struct.pack("<Q", len(content)) + secret})
