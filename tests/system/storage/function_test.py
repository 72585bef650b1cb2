"""yagura-storage as a function: the Runtime API, batches, time, and what cannot begin."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, SECONDS, Storage, main, until  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/runtime_api"))
from runtime_api import RuntimeApi  # noqa: E402


def function(place, mode="lambda", kill=None, concurrency=None, **settings):
    storage = Storage(place, notify=False, **settings)
    api = RuntimeApi(kill)
    api.__enter__()
    place.cleanups.insert(0, lambda: api.__exit__(None))
    storage.values["AWS_LAMBDA_RUNTIME_API"] = api.address
    storage.values["AWS_LAMBDA_FUNCTION_NAME"] = "scanner"
    if concurrency:
        storage.values["AWS_LAMBDA_MAX_CONCURRENCY"] = str(concurrency)
    process = storage.start(mode)
    return storage, api, process


def batch(*bodies):
    import json
    return {"Records": [{"messageId": f"m{i}", "receiptHandle": "r", "eventSource": "aws:sqs",
                         "attributes": {}, "body": body if isinstance(body, str) else
                         json.dumps(body)} for i, body in enumerate(bodies)]}


def test_a_batch_of_which_some_fail(place):
    storage, api, process = function(place)
    good, bad = storage.put("good", CLEAN), storage.put("bad", EICAR)
    done = api.call(batch(storage.event("good", good["ETag"], good["VersionId"]), "{broken",
                          storage.event("bad", bad["ETag"], bad["VersionId"]),
                          {"Service": "Amazon S3", "Event": "s3:TestEvent"}))
    assert done.status == "response", (done.status, done.body, storage.said())
    assert done.body == {"batchItemFailures": [{"itemIdentifier": "m1"}]}, done.body
    assert storage.result("good", verdict="clean")["sqs_message_id"] == "m0"
    assert storage.result("bad", verdict="infected")["scanner"] == "scanner"
    done = api.call({"Records": [{"eventSource": "aws:dynamodb"}]})
    assert done.status == "error" and done.error_type == "Storage.NotUnderstood", done.body
    storage.stop(process)


def test_events_by_themselves(place):
    storage, api, _ = function(place)
    made = storage.put("x", EICAR)
    assert api.call({"detail-type": "Object Created", "source": "aws.s3", "detail": {
        "bucket": {"name": storage.bucket},
        "object": {"key": "x", "etag": made["ETag"].strip('"')}}}).status == "response"
    assert api.call(storage.event("x", made["ETag"])).status == "response"
    storage.result("x", 2, verdict="infected")
    done = api.call({"what": "ever"})
    assert done.status == "error", done.body
    assert done.body["errorType"] == done.error_type == "Storage.NotUnderstood", done.body
    assert set(done.body) == {"errorMessage", "errorType", "stackTrace"}


def test_several_at_once(place):
    """As instances of the platform ask for that may have many events at a time."""
    storage, api, process = function(place, concurrency=4)
    until(lambda: api.next_calls >= 4, "four threads that ask")
    made = storage.put("x", os.urandom(1 << 20))
    calls = [api.invoke(batch(storage.event("x", made["ETag"], made["VersionId"])))
             for _ in range(12)]
    for call in calls:
        assert call.ended.wait(SECONDS)
        assert call.body == {"batchItemFailures": []}, (call.status, call.body)
    assert api.most_together >= 2, api.most_together
    storage.stop(process)


def test_no_signatures_is_told(place):
    storage, api, process = function(place, scanner_databases=place.folder("empty"))
    assert api.failed_init.wait(SECONDS), storage.said()
    assert api.init_error["errorType"] == "Storage.NoEngine", api.init_error
    assert process.wait(timeout=SECONDS) == 1
    assert api.next_calls == 0


def test_what_does_not_fit_the_time(place):
    """The batch's rest is named rather than lost with the process."""
    storage, api, process = function(place)
    made = storage.put("x", CLEAN)
    event = storage.event("x", made["ETag"], made["VersionId"])
    done = api.call(batch(event, event), seconds=1)  # less than is kept for the end
    assert done.status == "response", done.status
    assert [item["itemIdentifier"] for item in done.body["batchItemFailures"]] == ["m0", "m1"]
    assert api.call(batch(event)).body == {"batchItemFailures": []}
    assert process.poll() is None


def test_the_dead_letter_function(place):
    storage, api, _ = function(place, mode="dead-letter")
    made = storage.put("x", CLEAN)
    done = api.call(batch(storage.event("x", made["ETag"], made["VersionId"]), "{broken"))
    assert done.body == {"batchItemFailures": []}, done.body
    assert storage.result("x", verdict="error")["scanner_status"] == -4


if __name__ == "__main__":
    main()
