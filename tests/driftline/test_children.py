import os
import subprocess
import sys

SAY_READY = "from driftline.children import say_ready; say_ready('somewhere'); print('went on')"


def test_a_child_that_gets_ready_when_its_supervisor_is_gone_goes_on_to_stop_in_order():
    nobody, pipe = os.pipe()
    os.close(nobody)
    finished = subprocess.run([sys.executable, "-c", SAY_READY], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    os.close(pipe)
    assert (finished.returncode, finished.stderr) == (0, "went on\n")


def test_a_supervisor_hears_that_a_child_is_ready_and_nothing_else():
    finished = subprocess.run([sys.executable, "-c", SAY_READY], capture_output=True, text=True, check=False)
    assert (finished.stdout, finished.stderr) == ("ready somewhere\n", "went on\n")
