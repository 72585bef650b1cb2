"""EICAR inside every container format that can be made here, and what only looks like one."""
import base64
import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile

import harness
from harness import CLEAN, EICAR, put


def zip_of(name, content, method=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr("readme.txt", CLEAN)
        archive.writestr(name, content)
    return data.getvalue()


def tar_of(name, content, mode="w"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def cpio_of(name, content):
    """New ASCII format."""
    def entry(path, body):
        raw = path.encode() + b"\0"
        fields = [0, 0o100644, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(raw), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        return head + b"\0" * (-len(head) % 4) + body + b"\0" * (-len(body) % 4)
    return entry(name, content) + entry("TRAILER!!!", b"")


def mail_of(content):
    return (b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
            b'Content-Type: multipart/mixed; boundary="edge"\r\n\r\n--edge\r\n'
            b"Content-Type: text/plain\r\n\r\nhello\r\n--edge\r\n"
            b'Content-Type: application/octet-stream; name="x.com"\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)
            + b"\r\n--edge--\r\n")


def pdf_of(content):
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>",
               b"<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream"
               % (len(content), content)]
    text = b"%PDF-1.4\n"
    for number, body in enumerate(objects, 1):
        text += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    return text + b"trailer << /Root 1 0 R /Size 4 >>\n%%EOF\n"


def containers():
    return {
        "zip": zip_of("eicar.com", EICAR),
        "stored.zip": zip_of("eicar.com", EICAR, zipfile.ZIP_STORED),
        "bzip2.zip": zip_of("eicar.com", EICAR, zipfile.ZIP_BZIP2),
        "in-zip.zip": zip_of("inner.zip", zip_of("eicar.com", EICAR)),
        "tar": tar_of("eicar.com", EICAR),
        "tar.gz": tar_of("eicar.com", EICAR, "w:gz"),
        "tar.bz2": tar_of("eicar.com", EICAR, "w:bz2"),
        "tar.xz": tar_of("eicar.com", EICAR, "w:xz"),
        "gz": gzip.compress(EICAR),
        "bz2": bz2.compress(EICAR),
        "xz": lzma.compress(EICAR),
        "cpio": cpio_of("eicar.com", EICAR),
        "eml": mail_of(EICAR),
        "docx": zip_of("word/embeddings/oleObject1.bin", EICAR),
        "pdf": pdf_of(EICAR),
        "deep.gz": gzip.compress(zip_of("a.tar", tar_of("b.bz2", bz2.compress(EICAR)))),
    }


def test_every_container_is_opened(place):
    agent = place.agent().start()
    paths = [put(os.path.join(agent.watched, "x." + suffix), content)
             for suffix, content in containers().items()]
    clean = put(os.path.join(agent.watched, "clean.zip"), zip_of("a", CLEAN))
    agent.sync()
    agent.expect_found(*paths)
    agent.expect_gone(*paths)
    assert os.path.exists(clean)


def test_foreign_packers(place):
    """Formats that Python cannot make, where the tools are installed."""
    agent = place.agent().start()
    source = place.folder("source")
    put(os.path.join(source, "eicar.com"), EICAR)
    tools = {
        "7z": ["7z", "a", "-bd", "x.7z", "eicar.com"],
        "iso": ["genisoimage", "-quiet", "-o", "x.iso", "eicar.com"],
    }
    made = []
    for suffix, command in tools.items():
        if shutil.which(command[0]) is None:
            continue
        result = subprocess.run(command, cwd=source, capture_output=True, check=False)
        if result.returncode == 0:
            made.append(shutil.move(os.path.join(source, "x." + suffix), agent.watched))
    if not made:
        raise harness.Skip("neither 7z nor genisoimage is installed")
    agent.sync()
    agent.expect_found(*made)


def test_eicar_not_at_the_beginning_is_not_eicar(place):
    agent = place.agent().start()
    path = put(os.path.join(agent.watched, "talk.txt"), b"hello " + EICAR)
    agent.sync()
    agent.expect_found()
    assert os.path.exists(path)


def test_truncated_archives_hold_nothing_up(place):
    agent = place.agent().start()
    for suffix, content in containers().items():
        for part in (1, 2, 3):
            put(os.path.join(agent.watched, f"{part}.{suffix}"), content[:len(content) * part // 4])
    agent.sync()
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    assert harness.escaped(bad) in agent.subjects("malware_found")
    status = agent.status()
    assert status["scanner"]["crashed"] == 0, status["scanner"]


def test_bombs_are_incomplete_and_never_clean(place):
    agent = place.agent(scan__max_scan_size="20M", scan__max_file_size="10M", scan__max_files=100,
                        scan__max_recursion=5).start()
    folder = agent.watched
    nested = EICAR
    for _ in range(8):
        nested = zip_of("inner.zip", nested)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}", CLEAN)
        archive.writestr("last.com", EICAR)
    paths = {
        put(os.path.join(folder, "zeros.zip"), zip_of("zeros", b"\0" * (30 << 20))): None,
        put(os.path.join(folder, "nested.zip"), nested): None,
        put(os.path.join(folder, "many.zip"), many.getvalue()): None,
        put(os.path.join(folder, "large"), CLEAN * (1 << 20)): None,
    }
    agent.sync()
    told = set(agent.subjects("scan_incomplete")) | set(agent.subjects("malware_found"))
    missing = [path for path in paths if harness.escaped(path) not in told]
    assert not missing, f"passed as clean: {missing}"
    assert agent.metric('cap_hits_total{cap="scan"}') >= 1
    before = len(agent.events("scan_incomplete"))
    agent.scan(folder)
    assert len(agent.events("scan_incomplete")) == before, "the same files were told twice"


if __name__ == "__main__":
    harness.main()
