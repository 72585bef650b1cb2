"""Durable events a second of the event store beside a bare SQLite loop with the same table and batch."""


def store(bench):
    machine = bench.machine
    folder = machine.new_folder("store")
    result = machine.measure_tool("store_rate", folder, bench.size(100000, 5000))
    bench.detail("store", result)
    bench.figure("event store: durable events a second / bare SQLite's",
                 result["store_per_s"] / result["bare_per_s"], "x", least=0.8,
                 note=f"ours {result['store_per_s']:,.0f}/s, bare {result['bare_per_s']:,.0f}/s, "
                      f"groups of {result['group']:.0f}")
