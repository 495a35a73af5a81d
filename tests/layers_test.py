# SPDX-License-Identifier: MIT
"""Who may include whom: include <- src <- src/io <- program. And each file's first line is its licence."""

import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
STANDARD = re.compile(r"^(c?[a-z_0-9]+|sys/\w+\.h|pthread\.h|sched\.h|unistd\.h|fcntl\.h|zlib\.h)$")


def files(folder, *patterns):
    return sorted(path for pattern in patterns for path in (ROOT / folder).glob(pattern))


def includes(path):
    return [(kind == "<", name) for kind, name in INCLUDE.findall(path.read_text())]


class Layers(unittest.TestCase):
    def test_public_headers_include_the_standard_library_and_one_another(self):
        for path in files("include/labelsmooth", "*.h"):
            for system, name in includes(path):
                allowed = re.fullmatch(r"c?[a-z_]+|std(def|int).h|string.h", name) if system else name.startswith("labelsmooth/")
                self.assertTrue(allowed, f"{path.name} includes {name}")

    def test_the_library_knows_no_file_and_no_program(self):
        for path in files("src", "*.h", "*.cc"):
            for system, name in includes(path):
                self.assertFalse(name.startswith(("io/", "study/", "evaluation/")), f"{path.name} includes {name}")
                if system:
                    self.assertTrue(name.startswith("hwy/") or name == "xmmintrin.h" or STANDARD.match(name), name)
            for word in ("std::cout", "std::cerr", "printf", "std::exit", "abort("):
                self.assertNotIn(word, path.read_text(), path.name)

    def test_readers_know_the_library_alone(self):
        for path in files("src/io", "*.h", "*.cc"):
            for system, name in includes(path):
                allowed = STANDARD.match(name) if system else name.startswith(("io/", "labelsmooth/"))
                # A safetensors file begins with JSON.
                allowed = allowed or (path.name, name) == ("safetensors.cc", "nlohmann/json.hpp")
                self.assertTrue(allowed, f"{path.name} includes {name}")

    def test_the_python_module_binds_the_library_alone(self):
        for path in files("python/src", "*.h", "*.cc"):
            for system, name in includes(path):
                own = (path.parent / name).exists() or name.startswith("labelsmooth/")
                allowed = STANDARD.match(name) or name.startswith("nanobind/") if system else own
                self.assertTrue(allowed, f"{path.name} includes {name}")

    def test_the_reference_shares_no_code(self):
        for path in files("src", "reference.*"):
            names = [name for system, name in includes(path) if not system]
            self.assertLessEqual(set(names), {"reference.h"})

    def test_every_file_has_its_licence(self):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
        for name in listed:
            if name.endswith((".h", ".cc", ".py", ".cmake", ".in", "CMakeLists.txt")) or name in ("dev", ".ci/run"):
                head = (ROOT / name).read_text().splitlines()[:2]
                self.assertTrue(any("SPDX-License-Identifier: MIT" in line for line in head), name)


if __name__ == "__main__":
    unittest.main()
