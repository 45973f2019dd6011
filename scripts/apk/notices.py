"""What the APK carries of others, and under which licence: assets/NOTICE.txt."""

from __future__ import annotations

import zipfile
from pathlib import Path

APACHE = "Apache-2.0"

BSD = """\
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:
1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products
derived from this software without specific prior written permission.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""

MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and
this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED
"AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def notice(versions: dict[str, str], app_version: str, executorch: str, tensorflow_aar: Path) -> str:
    """The text, with the licences in full.

    Args:
        versions: The catalogue's.
        app_version: edgekit's.
        executorch: Its distribution.
        tensorflow_aar: TensorFlow Lite's archive, which brings the text of the Apache licence.
    """
    with zipfile.ZipFile(tensorflow_aar) as archive:
        apache = archive.read("LICENSE").decode("utf-8")
    parts = [
        ("edgekit", app_version, APACHE, ""),
        ("Kotlin standard library", versions["kotlin"], APACHE, "JetBrains s.r.o. and Kotlin contributors"),
        ("kotlinx.serialization", versions["serialization"], APACHE, "JetBrains s.r.o."),
        ("TensorFlow Lite", versions["tensorflowLite"], APACHE, "The TensorFlow Authors"),
        ("Tink, with Protocol Buffers", versions["tink"], f"{APACHE}; Protocol Buffers BSD-3-Clause", "Google LLC"),
        (
            "fbjni, with LLVM's libc++",
            versions["fbjni"],
            f"{APACHE}; libc++ with LLVM exceptions",
            "Meta Platforms, Inc.",
        ),
        ("SoLoader's nativeloader", versions["nativeloader"], APACHE, "Meta Platforms, Inc."),
        ("ExecuTorch", executorch, "BSD-3-Clause", "Meta Platforms, Inc. and affiliates, Arm Limited and others"),
    ]
    if executorch.startswith("react-native-executorch"):
        parts.append(("react-native-executorch", executorch.split()[1], "MIT", "Software Mansion"))
    lines = ["This app holds, beside its own code:", ""]
    lines += [
        f"{name} {version}, {licence}" + (f", copyright {owner}" if owner else "")
        for name, version, licence, owner in parts
    ]
    return (
        "\n".join(lines)
        + f"\n\n=== Apache-2.0 ===\n\n{apache}\n\n=== BSD-3-Clause ===\n\n{BSD}\n\n=== MIT ===\n\n{MIT}"
    )
