import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Enumeration;
import java.util.HashSet;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Makes of Android's framework classes a jar that any JVM can call: every method returns 0, false or null and every
 * constructor only calls its superclass, as in the jar that Gradle's plug-in gives to unit tests with
 * returnDefaultValues. Nothing is final, so that tests may override. Enumerations stay as they are.
 * Arguments: the jar to read, the jar to write. Classes outside android.* come along only as superclasses of those.
 */
public final class MakeCallable extends ClassVisitor {
    private static final int FINAL_OR_NATIVE =
            Opcodes.ACC_FINAL | Opcodes.ACC_NATIVE | Opcodes.ACC_SYNCHRONIZED;

    private final ZipFile jar;
    private String name;
    private String superName;
    private boolean enumeration;

    private MakeCallable(ZipFile jar, ClassVisitor next) {
        super(Opcodes.ASM9, next);
        this.jar = jar;
    }

    public static void main(String[] arguments) throws IOException {
        try (ZipFile jar = new ZipFile(arguments[0]);
                ZipOutputStream out = new ZipOutputStream(
                        new BufferedOutputStream(Files.newOutputStream(Paths.get(arguments[1]))))) {
            out.setLevel(1);
            Deque<String> waiting = new ArrayDeque<>();
            Set<String> seen = new HashSet<>();
            for (Enumeration<? extends ZipEntry> entries = jar.entries(); entries.hasMoreElements();) {
                String entry = entries.nextElement().getName();
                if (entry.startsWith("android/") && entry.endsWith(".class")) {
                    waiting.add(entry.substring(0, entry.length() - ".class".length()));
                }
            }
            while (!waiting.isEmpty()) {
                String name = waiting.remove();
                ZipEntry entry = jar.getEntry(name + ".class");
                if (entry == null || name.startsWith("java/") || !seen.add(name)) {
                    continue;
                }
                ClassReader reader = read(jar, entry);
                waiting.add(String.valueOf(reader.getSuperName()));
                for (String implemented : reader.getInterfaces()) {
                    waiting.add(implemented);
                }
                ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
                reader.accept(new MakeCallable(jar, writer), ClassReader.SKIP_DEBUG);
                ZipEntry made = new ZipEntry(name + ".class");
                made.setTime(0);
                out.putNextEntry(made);
                out.write(writer.toByteArray());
            }
        }
    }

    private static ClassReader read(ZipFile jar, ZipEntry entry) throws IOException {
        try (InputStream in = jar.getInputStream(entry)) {
            return new ClassReader(in.readAllBytes());
        }
    }

    @Override
    public void visit(int version, int access, String name, String signature, String superName, String[] interfaces) {
        this.name = name;
        this.superName = superName;
        enumeration = (access & Opcodes.ACC_ENUM) != 0 || "java/lang/Enum".equals(superName);
        super.visit(version, enumeration ? access : access & ~Opcodes.ACC_FINAL, name, signature, superName, interfaces);
    }

    @Override
    public void visitInnerClass(String name, String outerName, String innerName, int access) {
        boolean kept = (access & Opcodes.ACC_ENUM) != 0;
        super.visitInnerClass(name, outerName, innerName, kept ? access : access & ~Opcodes.ACC_FINAL);
    }

    @Override
    public MethodVisitor visitMethod(int access, String method, String descriptor, String signature, String[] thrown) {
        if (enumeration && (access & Opcodes.ACC_NATIVE) == 0) {
            return super.visitMethod(access, method, descriptor, signature, thrown);
        }
        if (method.equals("<clinit>")) {
            return null;
        }
        boolean constructor = method.equals("<init>");
        int callable = access & ~FINAL_OR_NATIVE;
        if (constructor && (access & Opcodes.ACC_PRIVATE) == 0) {
            callable = callable & ~Opcodes.ACC_PROTECTED | Opcodes.ACC_PUBLIC; // subclasses of other packages call it
        }
        MethodVisitor body = super.visitMethod(callable, method, descriptor, signature, thrown);
        if ((access & Opcodes.ACC_ABSTRACT) != 0) {
            return body;
        }
        body.visitCode();
        if (constructor) {
            String constructed = superConstructor();
            body.visitVarInsn(Opcodes.ALOAD, 0);
            for (Type type : Type.getArgumentTypes(constructed)) {
                pushDefault(body, type);
            }
            body.visitMethodInsn(Opcodes.INVOKESPECIAL, superName, "<init>", constructed, false);
        }
        Type returned = Type.getReturnType(descriptor);
        pushDefault(body, returned);
        body.visitInsn(returned.getOpcode(Opcodes.IRETURN));
        body.visitMaxs(0, 0);
        body.visitEnd();
        return null;
    }

    /** Any constructor of the superclass that a subclass may call, the one with the fewest arguments first. */
    private String superConstructor() {
        String[] best = {null};
        ZipEntry entry = superName.startsWith("java/") ? null : jar.getEntry(superName + ".class");
        try {
            if (entry != null) {
                read(jar, entry).accept(new ClassVisitor(Opcodes.ASM9) {
                    @Override
                    public MethodVisitor visitMethod(int access, String name, String descriptor, String s, String[] t) {
                        if (name.equals("<init>")) {
                            boolean hidden = (access & Opcodes.ACC_PRIVATE) != 0;
                            choose(best, hidden, descriptor);
                        }
                        return null;
                    }
                }, ClassReader.SKIP_CODE);
            } else {
                for (Constructor<?> constructor : Class.forName(superName.replace('/', '.')).getDeclaredConstructors()) {
                    boolean seen = Modifier.isPublic(constructor.getModifiers())
                            || Modifier.isProtected(constructor.getModifiers());
                    choose(best, !seen, Type.getConstructorDescriptor(constructor));
                }
            }
        } catch (IOException | ClassNotFoundException | LinkageError error) {
            best[0] = "()V"; // a superclass that this machine's Java lacks: the class cannot be loaded here anyway
        }
        return best[0] == null ? "()V" : best[0];
    }

    private static void choose(String[] best, boolean hidden, String descriptor) {
        if (!hidden && (best[0] == null || arguments(descriptor) < arguments(best[0]))) {
            best[0] = descriptor;
        }
    }

    private static int arguments(String descriptor) {
        return Type.getArgumentTypes(descriptor).length;
    }

    private static void pushDefault(MethodVisitor body, Type type) {
        switch (type.getSort()) {
            case Type.VOID:
                break;
            case Type.LONG:
                body.visitInsn(Opcodes.LCONST_0);
                break;
            case Type.FLOAT:
                body.visitInsn(Opcodes.FCONST_0);
                break;
            case Type.DOUBLE:
                body.visitInsn(Opcodes.DCONST_0);
                break;
            case Type.ARRAY:
            case Type.OBJECT:
                body.visitInsn(Opcodes.ACONST_NULL);
                break;
            default:
                body.visitInsn(Opcodes.ICONST_0);
        }
    }
}
