# The service of one simulated host: service.py DIRECTORY PORT
# Reads current/VERSION once, when it starts, so that only a restart changes what it answers on GET /health. Writes the
# time at which it began to listen to DIRECTORY/ready.
import os, socket, sys, time

directory, port = sys.argv[1], int(sys.argv[2])
with open(directory + "/current/VERSION") as file:
    version = file.read().strip()
healthy = ('{"version": "%s"}\n' % version).encode()

server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(64)
with open(directory + "/ready.new", "w") as file:
    file.write("%d %s\n" % (time.time_ns(), version))
os.rename(directory + "/ready.new", directory + "/ready")

while True:
    client, _ = server.accept()
    try:
        client.settimeout(2)
        request = b""
        while b"\r\n\r\n" not in request:
            part = client.recv(4096)
            if not part:
                break
            request += part
        status, body = ("200 OK", healthy) if request.startswith(b"GET /health ") else ("404 Not Found", b"{}\n")
        head = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        client.sendall((head % (status, len(body))).encode() + body)
    except OSError:
        pass
    finally:
        client.close()
