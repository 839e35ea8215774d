"""What the paper claims (1910.04098). No study here has tested any of it yet, and each claim says so."""

from tutorlib.lab import Claim

C1 = Claim(
    id="metagenrl.C1",
    sentence="A population distils its experience into a small objective that decides how later agents learn.",
    reported="an objective of about 15,500 weights, learnt by 20 agents",
)
C2 = Claim(
    id="metagenrl.C2",
    sentence="The objective trains agents in environments unlike those of meta-training.",
    reported="Hopper, unseen: 2363, where RL^2 has 5 and EPG 8",
)
C3 = Claim(
    id="metagenrl.C3",
    sentence="In some cases it outperforms reinforcement learning by people's own objectives.",
    reported="Hopper, unseen: 2363, where PPO has 1894 and off-policy REINFORCE with GAE 1804; DDPG has 2718",
)
C4 = Claim(
    id="metagenrl.C4",
    sentence="Second-order gradients from replay need far fewer steps than evolution strategies.",
    reported="unknown",
)
C5 = Claim(
    id="metagenrl.C5",
    sentence="RL^2 is good where it was meta-trained and fails elsewhere.",
    reported="Cheetah, seen: 5180; Hopper, unseen: 5",
)
C6 = Claim(
    id="metagenrl.C6",
    sentence="An early objective trains unseen agents already; later ones train them faster and with less spread.",
    reported="unknown",
)
C7 = Claim(
    id="metagenrl.C7",
    sentence="The objective needs values, one of V_t and V_{t+1} at the least, and hardly needs the time.",
    reported="unknown",
)
C8 = Claim(
    id="metagenrl.C8",
    sentence="More inner steps do not help.",
    reported="unknown",
)
C9 = Claim(
    id="metagenrl.C9",
    sentence="Meta-training needs a large population; more environments help only somewhat.",
    reported="unseen Hopper: 2363 after two environments, 2452 after four with twice as many agents",
)

CLAIMS = (C1, C2, C3, C4, C5, C6, C7, C8, C9)
