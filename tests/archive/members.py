"""Members of an archive, and archives of other members."""

import hashlib
import json
import zipfile


def members_of(path):
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def pack(path, members, repair=True):
    """An archive of these members, with a manifest that agrees if it is repaired."""
    if repair:
        manifest = json.loads(members["manifest.json"])
        listed = {n: [len(c), hashlib.sha256(c).hexdigest()] for n, c in members.items() if n != "manifest.json"}
        members = members | {"manifest.json": json.dumps(manifest | {"members": listed}).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
