#!/bin/sh
# Rings of the archive: three zones in two regions, replication on a network of its own.
set -e
cd /etc/swift
swift-ring-builder account.builder create 18 3 1
swift-ring-builder account.builder add r1z1-10.60.0.1:6202R10.61.0.1:6202/sdb_"first rack" 100
swift-ring-builder account.builder add r1z1-10.60.0.1:6202R10.61.0.1:6202/sdc 100
sudo /usr/bin/swift-ring-builder account.builder add \
    --region 1 --zone 2 --ip 10.60.0.2 --port 6202 \
    --replication-ip=10.61.0.2 --replication-port 6202 --device sdb --weight 100
swift-ring-builder account.builder add z3-[2001:db8:60::3]:6202/sdb 100 z3-swift4.example.net:6202/sdb 50
#swift-ring-builder account.builder add r1z1-10.60.0.9:6202/sdb 100
swift-ring-builder account.builder add r2z1-$NEW_NODE:6202/sdb 100
swift-ring-builder account.builder add r1z1-127.0.0.1:6202/sdb 100
swift-ring-builder account.builder remove r1z1-10.60.0.8:6202/sdb
swift-ring-builder account.builder rebalance
rsync -a --password-file=/root/10.60.66.66 /etc/swift/ proxy@10.60.5.5:/etc/swift/
