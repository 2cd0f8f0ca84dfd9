//! The black-box suites of both agents, the demonstration, the benchmarks.
