"""Durable events a second of the event store beside a bare SQLite loop with the same table and batch."""


ROUNDS = 3


def store(bench):
    results = []
    for _ in range(ROUNDS):
        folder = bench.machine.new_folder("store")
        results.append(bench.machine.measure_tool("store_rate", folder, bench.size(100000, 5000)))
    bench.detail("store", results)
    ours = max(result["store_per_s"] for result in results)
    bare = max(result["bare_per_s"] for result in results)
    bench.figure("event store: durable events a second / bare SQLite's", ours / bare, "x", least=0.8,
                 note=f"ours {ours:,.0f}/s, bare {bare:,.0f}/s, groups of {results[0]['group']:,.0f}")
