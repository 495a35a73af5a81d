# SPDX-License-Identifier: MIT
"""Every verb takes arrays in every format: the same numbers as .npy give the same results."""

import json
import os
import pathlib
import resource
import struct
import unittest

import numpy as np
from verb_case import Case

SAFETENSORS = {"f8": "F64", "f4": "F32", "f2": "F16", "V2": "BF16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
               "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8"}  # fmt: skip


def bf16(values):
    """The upper halves of f32: what ml_dtypes' bfloat16 holds, as NumPy without ml_dtypes sees it."""
    return (np.asarray(values, "<f4").view("<u4") >> 16).astype("<u2").view("V2")


class Formats(Case):
    def save_safetensors(self, name, **arrays):
        header, data = {"__metadata__": {"format": "np"}}, b""
        for key, array in arrays.items():
            begin = len(data)
            data += array.tobytes()
            dtype = SAFETENSORS[array.dtype.str[1:]]
            header[key] = {"dtype": dtype, "shape": array.shape, "data_offsets": [begin, len(data)]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)  # as the format's own writer aligns
        pathlib.Path(self.path(name)).write_bytes(struct.pack("<Q", len(text)) + text + data)
        return self.path(name)

    def save_csv(self, name, array, **options):
        form = "%d" if array.dtype.kind in "iu" else "%.17g"
        np.savetxt(self.path(name), array, **{"fmt": form, "delimiter": ",", **options})
        return self.path(name)

    def every_format(self, name, array):
        """The file arguments that mean this array."""
        other = np.arange(5)
        np.savez(self.path(name + ".npz"), other=other, **{name: array})
        np.savez_compressed(self.path(name + "_deflated.npz"), other=other, **{name: array})
        np.savez(self.path(name + "_alone.npz"), array)
        files = [
            self.save(name + ".npy", array),
            self.path(f"{name}.npz:{name}"),
            self.path(f"{name}_deflated.npz:{name}"),
            self.path(f"{name}_alone.npz"),
            self.save_safetensors(name + ".safetensors", other=other, **{name: array}) + ":" + name,
            self.save_safetensors(name + "_alone.safetensors", **{name: array}),
        ]
        if array.dtype in ("f8", "i8") and array.ndim <= 2:
            files.append(self.save_csv(name + ".csv", array))
        return files

    def loss(self, *arguments):
        """JSON and files that `loss` makes."""
        outputs = "--grad", self.path("g.npy"), "--losses", self.path("l.npy")
        result = self.run_json("loss", *arguments, "--smoothing", 0.1, *outputs)
        return result, (self.folder / "g.npy").read_bytes(), (self.folder / "l.npy").read_bytes()

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(7)
        self.z, self.y = random.normal(0, 3, (23, 4)), random.integers(0, 4, 23)
        self.y[5] = -100

    def test_loss(self):
        logits, labels = self.every_format("z", self.z), self.every_format("y", self.y)
        self.assertEqual(len(logits), 7)
        expected = self.loss(logits[0], labels[0])
        for file in logits:
            self.assertEqual(self.loss(file, labels[0]), expected, file)
        for file in labels:
            self.assertEqual(self.loss(logits[0], file), expected, file)
        self.assertEqual(self.loss(logits[-1], labels[-1]), expected)  # .csv alone

    def test_every_type(self):
        z = self.z.astype("f4")
        for array in (self.z, z, self.z.astype("f2"), bf16(z)):
            files = self.every_format("z", array)
            expected = self.loss(files[0], self.save("y.npy", self.y))
            for file in files:
                self.assertEqual(self.loss(file, self.path("y.npy")), expected, (array.dtype, file))
        y, z = np.abs(self.y) % 4, self.save("z.npy", z)
        expected = self.loss(z, self.save("y.npy", y))
        for dtype in "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1":
            for file in self.every_format("y", y.astype(dtype)):
                self.assertEqual(self.loss(z, file), expected, (dtype, file))

    def test_both_spellings_of_bf16(self):
        array, y = bf16(self.z), self.save("y.npy", self.y)
        again = self.save("again.npy", array)  # as NumPy writes again what it has read
        content = pathlib.Path(again).read_bytes()
        self.assertIn(b"'|V2'", content)
        # As ml_dtypes writes it.
        (self.folder / "first.npy").write_bytes(content.replace(b"'|V2'", b"'<V2'"))
        self.assertEqual(self.loss("first.npy", y), self.loss("again.npy", y))
        wide = (array.view("<u2").astype("<u4") << 16).view("<f4")
        self.assertEqual(self.loss("again.npy", y)[0]["nll"], self.loss(self.save("w.npy", wide), y)[0]["nll"])

    def test_fortran_order(self):
        y = self.save("y.npy", self.y)
        expected = self.loss(self.save("z.npy", self.z), y)
        for save in np.savez, np.savez_compressed:
            save(self.path("f.npz"), z=np.asfortranarray(self.z))
            self.assertEqual(self.loss("f.npz:z", y), expected)

    def test_several_arrays_of_one_file(self):
        weights, prior = np.array([1.0, 2, 0.5, 1]), np.array([0.1, 0.2, 0.3, 0.4])
        arrays = {"z": self.z, "y": self.y, "class/weights": weights, "the prior": prior}
        files = [self.save(f"{i}.npy", array) for i, array in enumerate(arrays.values())]
        np.savez(self.path("all.npz"), **arrays)
        self.save_safetensors("all.safetensors", **arrays)
        flags = "--rule", "prior", "--prior"
        expected = self.loss(*files[:2], "--class-weights", files[2], *flags, files[3])
        for name in "all.npz", "all.safetensors":
            z, y, w, p = (f"{name}:{key}" for key in arrays)
            self.assertEqual(self.loss(z, y, "--class-weights", w, *flags, p), expected, name)

    def test_identify(self):
        logits, labels = self.every_format("z", self.z), self.every_format("y", self.y)
        self.loss(logits[0], labels[0])
        losses = self.every_format("l", np.load(self.path("l.npy")))
        expected = self.run_json("identify", logits[0], labels[0], losses[0])
        self.assertEqual(expected["rule"], "uniform")
        for files in zip(logits, labels, losses):
            self.assertEqual(self.run_json("identify", *files), expected, files)
        weights = self.every_format("w", np.array([1.0, 2, 0.5, 1]))
        results = [self.run_json("identify", logits[0], labels[0], losses[0], "--class-weights", w) for w in weights]
        self.assertEqual(results, [results[0]] * len(weights))

    def test_smooth(self):
        matrix = np.full((4, 4), 0.25)
        targets = []
        for labels, file in zip(self.every_format("y", self.y), self.every_format("m", matrix)):
            flags = "--classes", 4, "--smoothing", 0.1, "--rule", "matrix", "--matrix", file, "-o", self.path("t.npy")
            self.run_json("smooth", labels, *flags)
            targets.append((self.folder / "t.npy").read_bytes())
        self.assertEqual(targets, [targets[0]] * 7)
        matrices = []
        for file in self.every_format("z", self.z):
            self.run_json("smooth", labels, "--classes", 4, "--matrix-from", file, "-o", self.path("t.npy"))
            matrices.append((self.folder / "t.npy").read_bytes())
        self.assertEqual(matrices, [matrices[0]] * 7)

    def test_ways_of_writing_csv(self):
        y = self.save("y.npy", self.y)
        expected = self.loss(self.save("z.npy", self.z), y)
        for options in (
            {"header": "a,b,c,d", "comments": ""},
            {"header": "made by a test\nwith two lines of header"},
            {"newline": "\r\n", "header": "a,b,c,d", "comments": ""},
            {"delimiter": ", "},
            {"fmt": "%.18e"},
        ):
            self.assertEqual(self.loss(self.save_csv("z.csv", self.z, **options), y), expected, options)
        # As pandas writes the frame of z without and with names: repr, no index.
        lines = [",".join(map(repr, map(float, row))) for row in self.z]
        for header in ([], ["a,b,c,d"]):
            (self.folder / "z.csv").write_text("\n".join(header + lines) + "\n")
            self.assertEqual(self.loss("z.csv", y), expected)
        (self.folder / "z.csv").write_text("\n".join(["0,1,2,3", *lines]) + "\n")
        self.refuse(1, ["z.csv: line 1", "columns' numbers"], "loss", "z.csv", y)
        indexed = [",a,b,c,d", *(f"{i},{line}" for i, line in enumerate(lines))]
        (self.folder / "z.csv").write_text("\n".join(indexed) + "\n")
        self.refuse(1, ["z.csv: line 1, column 1: is empty"], "loss", "z.csv", y)

    def test_extreme_values_of_csv(self):
        z = np.array([[np.inf, -np.inf, 0], [5e-324, 1.7976931348623157e308, -0.0], [0.1, 1 / 3, 2**-1022]])
        y = self.save("y.npy", np.array([1, 1, 2]))
        expected = self.loss(self.save("z.npy", z), y)
        self.assertEqual(self.loss(self.save_csv("z.csv", z), y), expected)
        z[0, 0] = np.nan
        self.assertEqual(self.loss(self.save_csv("z.csv", z), y)[0], self.loss(self.save("z.npy", z), y)[0])

    def test_pipes(self):
        y = self.save("y.npy", self.y)
        expected = self.run_json("loss", self.save("z.npy", self.z), y)
        content = pathlib.Path(self.path("z.npy")).read_bytes()
        self.assertEqual(self.run_json("loss", "-", y, input=content), expected)
        np.savez(self.path("z.npz"), z=self.z)
        archive = pathlib.Path(self.path("z.npz")).read_bytes()
        self.refuse(1, "standard input: no .npy file", "loss", "-", y, input=archive)
        os.symlink("/dev/stdin", self.path("pipe.npz"))
        self.assertEqual(self.run_json("loss", "pipe.npz:z", y, input=archive), expected)

    def test_refusals_name_file_and_array(self):
        z, y = self.save("z.npy", self.z), self.save("y.npy", self.y)
        np.savez(self.path("a.npz"), z=self.z, y=self.y, text=np.array("text"))
        self.save_safetensors("a.safetensors", z=self.z, y=self.y)
        self.save_csv("z.csv", self.z)
        for name in "a.npz", "a.safetensors":
            self.refuse(1, [f"{name}: ", "arrays found", f"{name}:NAME is needed", "z, y"], "loss", name, y)
            self.refuse(1, [f"{name}:w: no such array", "z, y"], "loss", f"{name}:w", y)
            self.refuse(1, [f"{name}:: no such array"], "loss", f"{name}:", y)
            self.refuse(1, [f"{name}:y: has type i64"], "loss", f"{name}:y", y)
            self.refuse(1, [f"{name}:z: shape (23, 4) found"], "smooth", y, "--classes", 4, "--smoothing", 0.1,
                        "--rule", "prior", "--prior", f"{name}:z", "-o", self.path("t.npy"))  # fmt: skip
            self.refuse(1, [f"{name}:z: has type f64, integers"], "identify", z, f"{name}:z", y)
            whole = pathlib.Path(self.path(name)).read_bytes()
            (self.folder / ("cut" + name[1:])).write_bytes(whole[:-1])
            self.refuse(1, [f"cut{name[1:]}: "], "loss", f"cut{name[1:]}:z", y)
        self.refuse(1, ["a.npz:text: ", "strings"], "loss", "a.npz:text", y)
        self.refuse(1, ["missing.npz: cannot be opened"], "loss", "missing.npz:z", y)
        # Labels that NumPy's savetxt wrote without fmt="%d".
        self.refuse(1, ["y.csv: shape (23,) of f64 found, dense labels"], "loss", z, self.save_csv("y.csv", self.y, fmt="%.18e"))
        with open(self.path("z.csv"), "a") as file:
            file.write("1,2,3\n")
        self.refuse(1, ["z.csv: line 24: 3 numbers found, 4 are needed"], "loss", "z.csv", y)

    @unittest.skipIf("-fsanitize" in os.environ["LINK"], "a sanitizer's own memory is past any limit")
    def test_large_files_are_mapped(self):
        rows, classes, limit = 65536, 1024, 240 << 20  # 256 MiB of logits; a BLAS wants more than 100 at its start
        y = self.save("y.npy", np.zeros(rows, "i8"))
        z = np.zeros((rows, classes), "f4")
        np.savez(self.path("z.npz"), zz=z)  # "zz.npy" ends where the data are aligned
        self.save_safetensors("z.safetensors", z=z)
        self.save("z.npy", z)
        options = {
            "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
            "env": {**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # or it waits for memory for ever
            "timeout": 60,
        }
        for name in "z.npy", "z.npz", "z.safetensors":
            result = self.run_json("loss", name, y, "--threads", 1, **options)
            self.assertAlmostEqual(result["nll"], np.log(classes), 6)


if __name__ == "__main__":
    unittest.main()
