"""Writes vectors.json: an implementation of the digest that shares no code
with the Go one. Run it to add a vector; never to change one."""

import base64
import hashlib
import hmac
import json

ALPHABET = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")


def field(value: bytes) -> bytes:
    return len(value).to_bytes(8, "big") + value


def text(digest: bytes) -> str:
    return base64.b32encode(digest).decode().rstrip("=").translate(ALPHABET)


def digest(c: dict, secret: bytes = b"") -> str:
    out = field(b"configpin/v1")
    for key in ("Kind", "Source", "Type"):
        out += field(c.get(key, "").encode())
    data = {k.encode(): v.encode() for k, v in c.get("Data", {}).items()}
    binary = {k.encode(): base64.b64decode(v) for k, v in c.get("Binary", {}).items()}
    for entries in (data, binary):
        out += len(entries).to_bytes(8, "big")
        for key in sorted(entries):
            out += field(key) + field(entries[key])
    return text(hmac.digest(secret, out, "sha256") if secret else hashlib.sha256(out).digest())


CONTENTS = {
    "nothing at all": {},
    "an empty ConfigMap": {"Kind": "ConfigMap", "Source": "app"},
    "one key": {"Kind": "ConfigMap", "Source": "app", "Data": {"greeting": "hello"}},
    "two keys, sorted by bytes": {"Kind": "ConfigMap", "Source": "app", "Data": {"b": "2", "B": "1"}},
    "an empty value": {"Kind": "ConfigMap", "Source": "app", "Data": {"greeting": ""}},
    "binary bytes": {"Kind": "ConfigMap", "Source": "app", "Binary": {"blob": base64.b64encode(bytes(range(256))).decode()}},
    "text and binary": {"Kind": "ConfigMap", "Source": "app", "Data": {"a": "1"}, "Binary": {"b": "AAE="}},
    "text beyond ASCII": {"Kind": "ConfigMap", "Source": "app", "Data": {"greeting": "grüß dich, 世界 🌍"}},
    "line endings": {"Kind": "ConfigMap", "Source": "app", "Data": {"a": "x\r\ny\n"}},
    "a name of 253 characters": {"Kind": "ConfigMap", "Source": "a" * 253, "Data": {"a": "1"}},
    "a value longer than any buffer": {"Kind": "ConfigMap", "Source": "app", "Data": {"a": "0123456789abcdef" * 1000}},
    "forty keys": {"Kind": "ConfigMap", "Source": "app", "Data": {f"key-{i}": str(i) for i in range(40)}},
}

KEYS = {"zeros": bytes(32), "counting": bytes(range(32))}

SECRETS = {
    "an empty Secret": {"Kind": "Secret", "Source": "db", "Type": "Opaque"},
    "a password": {"Kind": "Secret", "Source": "db", "Type": "Opaque", "Data": {"password": "hunter2"}},
    "of another type": {"Kind": "Secret", "Source": "db", "Type": "kubernetes.io/basic-auth", "Data": {"password": "hunter2"}},
}

if __name__ == "__main__":
    vectors = [{"Name": n, "Content": c, "Digest": digest(c)} for n, c in CONTENTS.items()]
    vectors += [
        {"Name": f"{n}, key {k}", "Content": c, "Key": base64.b64encode(key).decode(),
         "ID": text(hmac.digest(key, b"configpin/key", "sha256"))[:12], "Digest": digest(c, key)}
        for k, key in KEYS.items() for n, c in SECRETS.items()
    ]
    with open("vectors.json", "w", encoding="utf-8") as f:
        json.dump(vectors, f, indent=2, ensure_ascii=False)
        f.write("\n")
