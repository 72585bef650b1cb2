#!/usr/bin/env python3
"""Writes the samples of the scanner's system tests into an existing empty folder given as argument.

infected/   EICAR in containers, a marker in HTML of many encodings: each must be found
incomplete/ NAME.REASON: nothing to be found within the limits, and clean would be a lie
mixed/      infected beside what cannot be looked at
damaged/    cut and broken containers: any verdict will do, as long as there is one
clean/      ordinary files
"""
import base64
import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
MARKER = "yagura marker in hypertext"
ENCODINGS = {
    "utf-8": "utf-8", "utf-8-sig": "utf-8-sig", "utf-16": "utf-16",
    "utf-16le": "utf-16-le",  # libclamav does not recognise big endian without its mark
    "utf-32": "utf-32",
}
BOMS = {"utf-16be-bom": (b"\xfe\xff", "utf-16-be"), "utf-16le-bom": (b"\xff\xfe", "utf-16-le"),
        "utf-32be-bom": (b"\x00\x00\xfe\xff", "utf-32-be"), "utf-32le-bom": (b"\xff\xfe\x00\x00", "utf-32-le")}
DECLARED = ["iso-8859-1", "windows-1252", "shift_jis", "euc-jp", "koi8-r", "big5", "gb2312", "euc-kr"]


def zip_of(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def tar_of(members, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def cpio_of(name, data):
    out = b""
    for member, content in ((name, data), ("TRAILER!!!", b"")):
        fields = [0, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(member) + 1, 0]
        part = b"070701" + b"".join(b"%08X" % field for field in fields) + member.encode() + b"\0"
        part += b"\0" * (-len(part) % 4) + content
        out += part + b"\0" * (-len(part) % 4)
    return out


def mail_of(data):
    body = base64.encodebytes(data).decode()
    return ("From: a@example.com\r\nTo: b@example.com\r\nSubject: test\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/mixed; boundary="edge"\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n'
            "see file\r\n--edge\r\nContent-Type: application/octet-stream; name=\"a.com\"\r\n"
            "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.com\"\r\n\r\n"
            + body + "\r\n--edge--\r\n").encode()


def pdf_of(data):
    stream = zlib.compress(data)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>",
               b"<< /Type /EmbeddedFile /Filter /FlateDecode /Length %d >>\nstream\n" % len(stream)
               + stream + b"\nendstream"]
    out = b"%PDF-1.5\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def docx_of(data):
    return zip_of([
        ("[Content_Types].xml", b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
                                b'content-types"><Default Extension="bin" ContentType="application/octet-stream"/></Types>'),
        ("_rels/.rels", b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"/>'),
        ("word/document.xml", b'<?xml version="1.0"?><document/>'),
        ("word/embeddings/object.bin", data)])


def rar_of(name, data):
    """RAR 4 with one stored member."""
    def block(kind, flags, fields, extra=b""):
        body = struct.pack("<BHH", kind, flags, 7 + len(fields) + len(extra)) + fields + extra
        return struct.pack("<H", zlib.crc32(body) & 0xffff) + body
    header = block(0x73, 0, b"\0" * 6)
    fields = struct.pack("<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0, 20, 0x30, len(name), 0x81a4)
    return b"Rar!\x1a\x07\x00" + header + block(0x74, 0x8000, fields, name.encode()) + data + block(0x7b, 0x4000, b"")


def html_of(text, charset=None):
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">' if charset else ""
    return f"<html><head>{meta}<title>t</title></head><body><p>{text}</p></body></html>"


def run(*command, cwd):
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def by_tools(folder, plain):
    """What Python cannot write; skipped, and said so, when the tool is missing."""
    for tool, name, command in (
            ("7z", "infected/eicar.7z", ["7z", "a", "-bd"]),
            ("arj", "infected/eicar.arj", ["arj", "a"]),
            ("7z", "incomplete/secret.zip.encrypted", ["7z", "a", "-bd", "-tzip", "-psecret"]),
            ("7z", "mixed/secret.zip", ["7z", "a", "-bd", "-tzip", "-psecret"]),
            ("7z", "incomplete/secret.7z.encrypted", ["7z", "a", "-bd", "-t7z", "-mhe=on", "-psecret"])):
        if shutil.which(tool) is None:
            print(f"without {tool}: no {name}", file=sys.stderr)
            continue
        target = os.path.join(folder, name)
        made = os.path.join(folder, "made" + os.path.splitext(name.replace(".encrypted", ""))[1])
        run(*command, made, plain, cwd=folder)
        os.rename(made, target)


def infected():
    samples = {
        "eicar.com": EICAR, "eicar.txt": EICAR + b"\r\n \t", "eicar.zip": zip_of([("a.com", EICAR)]),
        "stored.zip": zip_of([("a.com", EICAR)], zipfile.ZIP_STORED),
        "zip-in-zip.zip": zip_of([("b.zip", zip_of([("a.com", EICAR)]))]),
        "bzip2.zip": zip_of([("a.com", EICAR)], zipfile.ZIP_BZIP2),
        "eicar.tar": tar_of([("a.com", EICAR)]), "eicar.tar.gz": tar_of([("a.com", EICAR)], "w:gz"),
        "eicar.tar.bz2": tar_of([("a.com", EICAR)], "w:bz2"), "eicar.tar.xz": tar_of([("a.com", EICAR)], "w:xz"),
        "eicar.gz": gzip.compress(EICAR), "eicar.bz2": bz2.compress(EICAR), "eicar.xz": lzma.compress(EICAR),
        "eicar.cpio": cpio_of("a.com", EICAR), "eicar.eml": mail_of(EICAR), "zip.eml": mail_of(zip_of([("a.com", EICAR)])),
        "eicar.docx": docx_of(EICAR), "eicar.pdf": pdf_of(EICAR),
        "deep.zip": zip_of([("d.tar", tar_of([("c.gz", gzip.compress(zip_of([("a.com", EICAR)])))]))]),
        "among-many.zip": zip_of([(f"f{i}", b"text %d" % i) for i in range(200)] + [("z.com", EICAR)]),
    }
    for name, codec in ENCODINGS.items():
        samples[f"html-{name}.html"] = html_of(MARKER).encode(codec)
    for name, (bom, codec) in BOMS.items():
        samples[f"html-{name}.html"] = bom + html_of(MARKER).encode(codec)
    for charset in DECLARED:
        samples[f"html-declared-{charset}.html"] = html_of(MARKER, charset).encode("ascii")
    return samples


def incomplete():
    nested = EICAR
    for level in range(25):
        nested = zip_of([(f"l{level}", nested)], zipfile.ZIP_STORED)
    return {
        "many-files.zip.file-count": zip_of([("%05d" % i, b"x") for i in range(10100)] + [("z.com", EICAR)]),
        "after-100-mb.zip.scan-size": zip_of([(f"zeros{i}", b"\0" * (21 << 20)) for i in range(5)] + [("z.com", EICAR)]),
        "nested.zip.recursion": nested,
        "large-member.zip.file-size": zip_of([("big", b"\0" * (30 << 20))]),
        "large.zip.file-size": zip_of([("noise", random.Random(2).randbytes(26 << 20)), ("z.com", EICAR)],
                                      zipfile.ZIP_STORED),
        "padded.com.file-size": EICAR + b" " * (27 << 20),
        "eicar.rar.unsupported": rar_of("a.com", EICAR),
        "rar-in.zip.unsupported": zip_of([("a.rar", rar_of("a.com", EICAR))]),
    }


def damaged(whole):
    samples = {}
    for name in ("eicar.zip", "eicar.tar.gz", "eicar.xz", "eicar.bz2", "eicar.pdf", "eicar.docx", "eicar.eml"):
        data = whole[name]
        samples[f"half-{name}"] = data[:len(data) // 2]
        samples[f"cut-{name}"] = data[:-3]
    generator = random.Random(1)
    for name in ("eicar.zip", "eicar.cpio", "eicar.pdf"):
        for turn in range(8):
            data = bytearray(whole[name])
            for _ in range(4):
                data[generator.randrange(len(data))] = generator.randrange(256)
            samples[f"flipped{turn}-{name}"] = bytes(data)
    return samples


def clean():
    return {"empty": b"", "one": b"x", "text.txt": b"hello world\n" * 100, "not-eicar.txt": b"hello " + EICAR,
            "plain.zip": zip_of([("a.txt", b"hello")]), "plain.html": html_of("nothing").encode("utf-16"),
            "zeros": b"\0" * 100000, "elf": open("/bin/true", "rb").read()}


def main(folder):
    groups = {"infected": infected(), "incomplete": incomplete(), "clean": clean()}
    groups["damaged"] = damaged(groups["infected"])
    for group, samples in groups.items():
        os.mkdir(os.path.join(folder, group))
        for name, data in samples.items():
            with open(os.path.join(folder, group, name), "wb") as file:
                file.write(data)
    os.mkdir(os.path.join(folder, "mixed"))
    plain = os.path.join(folder, "plain.com")
    with open(plain, "wb") as file:
        file.write(EICAR)
    by_tools(folder, plain)
    os.unlink(plain)
    secret = os.path.join(folder, "mixed", "secret.zip")
    if os.path.exists(secret):  # an encrypted member first, then a plain one
        with zipfile.ZipFile(secret, "a") as archive:
            archive.writestr("open.com", EICAR)
        os.rename(secret, os.path.join(folder, "mixed", "secret-and-eicar.zip"))


if __name__ == "__main__":
    main(sys.argv[1])
