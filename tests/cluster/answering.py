"""Answers every datagram and every connection with one byte, until it is killed.

python -m tests.cluster.answering ADDRESS PORT
"""

from __future__ import annotations

import socket
import sys
import threading

ANSWER = b"!"


def main(address: str, port: int) -> None:
    """Listen on a port over TCP and UDP, and print `ready` once it does."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    listening = socket.create_server((address, port))
    threading.Thread(target=_answer_datagrams, args=(datagrams,), daemon=True).start()
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(ANSWER)


def _answer_datagrams(datagrams: socket.socket) -> None:
    while True:
        _, sender = datagrams.recvfrom(512)
        datagrams.sendto(ANSWER, sender)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
