# SPDX-License-Identifier: MIT
"""The library as another project meets it: the examples, built against an installed tree by cmake and by pkg-config, and
as a subdirectory; static and shared. SOURCE and BUILD are this project's folders, CXX its compiler."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["SOURCE"])
BUILD = pathlib.Path(os.environ["BUILD"])
EXAMPLES = SOURCE / "examples"
FLOOR = "floor      loss 0.389673  p_y 0.9200\n"
ADDITIVE = "additive loss 1.820307741567  gradient 0.040 0.040 0.040 -0.496 0.376\n"
# What may be linked: no OpenMP runtime, no BLAS, nothing that the library does not use.
ALLOWED = re.compile(r"linux-vdso|ld-linux|lib(hwy|stdc\+\+|gcc_s|m|c|labelsmooth)\.so")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def cmake(source, build, *settings):
    settings = [*settings, f"-DCMAKE_CXX_COMPILER={os.environ['CXX']}"]
    run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", *settings)
    run("cmake", "--build", build)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="labelsmooth-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.static, cls.shared, cls.subdirectory = cls.folder / "static", cls.folder / "shared", cls.folder / "sub"
        run("cmake", "--install", BUILD, "--prefix", cls.static)
        # As a subdirectory of the examples' build, and shared; what it installs is the shared tree.
        cmake(EXAMPLES, cls.subdirectory, f"-DLABELSMOOTH_SOURCE={SOURCE}", "-DBUILD_SHARED_LIBS=ON")
        run("cmake", "--install", cls.subdirectory, "--prefix", cls.shared)
        # Moved after installation: nothing inside may name the old place.
        for name in ("static", "shared"):
            moved = cls.folder / f"moved-{name}"
            shutil.move(getattr(cls, name), moved)
            setattr(cls, name, moved)

    def check(self, folder, **options):
        out = run(folder / "train_step", **options)
        self.assertTrue(out.endswith(FLOOR), out)
        out = run(folder / "c_interface", **options)
        self.assertIn(ADDITIVE, out)
        self.assertIn("row 0, argument labels: labels: row 0 has 7, 0 to 4", out)

    def test_subdirectory(self):
        self.check(self.subdirectory)

    def test_find_package(self):
        for prefix in (self.static, self.shared):
            with self.subTest(prefix.name):
                build = self.folder / f"cmake-{prefix.name}"
                cmake(EXAMPLES, build, f"-DCMAKE_PREFIX_PATH={prefix}")
                self.check(build)

    def test_another_minor_version_is_refused(self):
        project = self.folder / "other"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(other LANGUAGES CXX)\n"
            "find_package(labelsmooth 0.2 CONFIG REQUIRED)\n"
        )
        settings = ["-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.shared}", f"-DCMAKE_CXX_COMPILER={os.environ['CXX']}"]
        done = subprocess.run(
            ["cmake", "-S", project, "-B", project / "b", *settings], capture_output=True, text=True
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("version: 0.1", done.stderr)

    def test_pkg_config(self):
        for prefix in (self.static, self.shared):
            with self.subTest(prefix.name):
                lib = next(prefix.glob("lib*/**/pkgconfig")).parent
                environment = dict(os.environ, PKG_CONFIG_PATH=str(lib / "pkgconfig"), LD_LIBRARY_PATH=str(lib))
                words = run("pkg-config", "--cflags", "--libs", "labelsmooth", env=environment).split()
                out = self.folder / f"pkg-config-{prefix.name}"
                out.mkdir()
                run(os.environ["CXX"], "-std=c++20", EXAMPLES / "train_step.cc", *words, "-o", out / "train_step")
                run("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", EXAMPLES / "c_interface.c", *words,
                    "-lm", "-o", out / "c_interface")
                self.check(out, env=environment)

    def test_the_shared_library_shows_its_interface_alone(self):
        library = next(self.shared.glob("lib*/**/liblabelsmooth.so"))
        names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
        ours = [name for name in names if "labelsmooth" in name]
        self.assertIn("labelsmooth_cross_entropy", ours)
        for name in names:
            self.assertNotRegex(name, r"Chunks|Problem|Kernels|check_|hwy|parallel_for")
        self.assertIn("SONAME", run("readelf", "-d", library))
        self.assertRegex(run("readelf", "-d", library), r"SONAME.*liblabelsmooth\.so\.0\.1\]")

    def test_the_shared_library_is_under_2_mb(self):
        stripped = self.folder / "stripped.so"
        run("strip", "-o", stripped, next(self.shared.glob("lib*/**/liblabelsmooth.so")))
        self.assertLess(stripped.stat().st_size, 2e6)

    def test_no_artefact_needs_more_than_it_should(self):
        library = next(self.shared.glob("lib*/**/liblabelsmooth.so"))
        for artefact in (library, self.subdirectory / "train_step"):
            for line in run("ldd", artefact).splitlines():
                self.assertRegex(line, ALLOWED)


if __name__ == "__main__":
    unittest.main()
