"""Operations with a backward of their own, written for speed and memory, each beside a plain reference version.

A kernel `f` is the public function; `f_reference` computes the same in a few lines of ordinary torch, on any device and
with torch's autograd. A test holds values and gradients of the two against each other. Which of them runs, `dispatch`
says. What reads as a formula belongs in `functional`.
"""
