"""Content that is made to get through: really encrypted files, and files that kill or stop the scanner.
Nothing is lost, nothing is wrongly clean, nothing stays behind in temporary folders."""
import io
import os
import signal
import sys
import zipfile

import encrypted_files as encrypted
from harness import CLEAN, EICAR, Storage, main, until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
from machine import command_name, process_tree  # noqa: E402


MANIFEST = ("<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'>"
            "<manifest:file-entry manifest:full-path='content.xml'><manifest:encryption-data/>")


def document(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"[Content_Types].xml": "<Types/>", **members}.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_what_is_encrypted_is_never_clean(place):
    """Each holds EICAR, which nobody without the password can see; and the same in an archive."""
    office = encrypted.office(document(**{"word/document.xml": "<w/>" * 3000, "word/evil.com": EICAR}))
    open_document = document(**{"content.xml": encrypted.aes(b"k" * 32, encrypted.modes.CBC(b"v" * 16), EICAR.ljust(80)),
                                "META-INF/manifest.xml": MANIFEST})
    bodies = {"aes.zip": (encrypted.aes_zip(EICAR), 107), "old.zip": (encrypted.traditional_zip(EICAR), 107),
              "letter.docx": (office, 108), "letter.pdf": (encrypted.pdf(EICAR), 109),
              "letter.odt": (open_document, 107), "inside.zip": (document(**{"letter.docx": office}), 107)}
    storage = Storage(place)
    process = storage.start()
    for key, (body, _) in bodies.items():
        storage.put(key, body)
    for key, (_, code) in bodies.items():
        result = storage.result(key)
        assert (result["verdict"], result["reason"]) == ("incomplete", "encrypted"), (key, result)
        assert result["scanning_result"]["Codes"] == [code] and result["scanner_status"] == -2, (key, result)
        until(lambda name=key: storage.tags(name), "tags")
        assert storage.tags(key)["yagura-scan-status"] == "incomplete", key
    storage.until_done()
    storage.stop(process)


def test_documents_that_are_not_encrypted_are_clean(place):
    storage = Storage(place)
    storage.start()
    storage.put("letter.docx", document(**{"word/document.xml": "<w/>" * 3000}))
    storage.put("letter.doc", encrypted.compound({"WordDocument": b"\xec\xa5\xc1" + bytes(8) + b"\x02" + bytes(500)}))
    for key in ("letter.docx", "letter.doc"):
        assert storage.result(key)["verdict"] == "clean", storage.result(key)
    storage.until_done()


def scanners(process):
    """The loaders, and their workers."""
    tree = [pid for pid in process_tree(process.pid) if command_name(pid) == "yagura-scanner"]
    loaders = [pid for pid in tree if any(child != pid for child in process_tree(pid))]
    return loaders, [pid for pid in tree if pid not in loaders]


def busy(process):
    """Workers that stand in a scan: what they have unpacked is in their folders' processor time."""
    def spent(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    found = []
    for pid in scanners(process)[1]:
        try:
            if spent(pid) >= 10:
                found.append(pid)
        except OSError:
            pass
    return found


def test_a_worker_that_dies_in_a_scan(place):
    """Killed in the middle as a crash would: its object is scanned again; when that fails too, the verdict is
    an error that is told, and the next objects are scanned as if nothing had been."""
    storage = Storage(place, scanner_workers=1, concurrency=1)
    process = storage.start()
    until(lambda: "poller_ready" in storage.said(process), "readiness", on_wait=storage.said)
    slow = document(**{f"f{i}.zip": document(noise=os.urandom(300000)) for i in range(60)})
    storage.put("slow.zip", slow)
    killed = 0
    while killed < 2:
        (victim,) = until(lambda: busy(process), "a scan on its way", on_wait=storage.said)[:1]
        os.kill(victim, signal.SIGSEGV)
        killed += 1
        until(lambda pid=victim: pid not in scanners(process)[1], "its end")
    result = storage.result("slow.zip")
    assert (result["verdict"], result["scanner_status"]) == ("error", -3), result
    until(lambda: storage.tags("slow.zip").get("yagura-scan-status") == "error", "its tag")
    storage.put("good.txt", CLEAN)
    storage.put("bad.com", EICAR)
    assert storage.result("good.txt")["verdict"] == "clean"
    assert storage.result("bad.com")["verdict"] == "infected"
    storage.until_done()
    storage.stop(process)


def test_nothing_stays_behind(place):
    """Neither after unpacking, nor after a worker's death, nor after ours in the middle of a scan."""
    storage = Storage(place, scanner_workers=1, memory_object="0")
    process = storage.start()
    storage.put("doc.zip", document(**{"a.zip": document(b="text" * 1000), "c.pdf": encrypted.pdf(b"x")}))
    storage.result("doc.zip")
    assert left(storage.folder) == [], left(storage.folder)
    storage.put("slow.zip", document(**{f"f{i}.zip": document(noise=os.urandom(300000)) for i in range(60)}))
    until(lambda: busy(process), "a scan on its way", on_wait=storage.said)
    process.kill()
    process.wait()
    until(lambda: left(storage.folder) == [], "empty folders", on_wait=lambda: str(left(storage.folder)))
    process = storage.start()
    made = storage.put("good.txt", CLEAN)
    storage.send(storage.event("good.txt", made["ETag"], made["VersionId"]))
    storage.result("good.txt", verdict="clean")
    storage.stop(process)
    assert left(storage.folder) == [], left(storage.folder)


def left(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


if __name__ == "__main__":
    main()
