"""What rclone says is told in one line without secrets, and what kind of trouble it is."""

from __future__ import annotations

import pytest

from multirig.collect.places.rclone_words import MOST, Trouble, classify, clean


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write /data/a.part: no space left on device", Trouble.FULL),
        ("unchunked simple update failed: Insufficient Storage: 507 Insufficient Storage", Trouble.FULL),
        ("response error: There is not enough space on the disk.", Trouble.FULL),
        ("googleapi: Error 403: storageQuotaExceeded", Trouble.FULL),
        ("QuotaExceeded: Bucket quota exceeded", Trouble.FULL),
        ("XMinioStorageFull: Storage backend has reached its minimum free drive threshold.", Trouble.FULL),
        ("path/insufficient_space/...", Trouble.FULL),
        ("update stor: 552 Exceeded storage allocation", Trouble.FULL),
        ("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none]", Trouble.REFUSED),
        ("couldn't list files: 401 Unauthorized: 401 Unauthorized", Trouble.REFUSED),
        ("response error: The attempted logon is invalid.", Trouble.REFUSED),
        ("SignatureDoesNotMatch: The request signature", Trouble.REFUSED),
        ("couldn't connect SSH: dial tcp 127.0.0.1:1: connect: connection refused", Trouble.AWAY),
        ("dial tcp: lookup nowhere: no such host", Trouble.AWAY),
        ("read tcp 10.0.0.1:1->10.0.0.2:22: i/o timeout", Trouble.AWAY),
        ('didn\'t find section in config file ("labserver")', Trouble.UNKNOWN),
        ("failed to find object: object not found", Trouble.NO_FILE),
        ("error in ListJSON: directory not found", Trouble.NO_FOLDER),
        ("Update Close failed: Failure", Trouble.OTHER),
    ],
)
def test_the_kind_of_trouble_is_known_by_its_words(text: str, kind: Trouble) -> None:
    assert classify(text) is kind


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("Get https://anna:secret@lab.org/a: 500", "Get https://lab.org/a: 500"),
        ("Put https://lab.org/a?X-Amz-Signature=abc&b=c: 500", "Put https://lab.org/a: 500"),
        ('bad setting pass="open sesame", host=a', "bad setting pass=…, host=a"),
        ("token: eyJhbGciOi is over", "token: … is over"),
        ("cannot load /home/anna/.config/rclone/rclone.conf: no", "cannot load rclone's config: no"),
        (r"cannot load C:\Users\anna\AppData\rclone\rclone.conf: no", "cannot load rclone's config: no"),
        ("a" * 500, "a" * (MOST - 1) + "…"),
    ],
)
def test_it_is_one_line_without_secrets(text: str, shown: str) -> None:
    assert clean(text) == shown
